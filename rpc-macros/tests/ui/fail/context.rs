#![allow(unused)]

use rpc_core::{Context, Status, service};

#[service]
trait Contexts {
    async fn none(&self) -> Result<(), Status>;
    async fn missing(&self, a: i64) -> Result<(), Status>;
    async fn text_first(&self, name: &str, cx: &Context) -> Result<(), Status>;
    async fn by_value(&self, cx: rpc_core::Context) -> Result<(), Status>;
    async fn exclusive(&self, cx: &mut Context) -> Result<(), Status>;
    async fn forever(&self, cx: &'static Context) -> Result<(), Status>;
}

fn main() {}
