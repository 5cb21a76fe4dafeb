#![allow(unused)]

use rpc_core::{Context, Status, service};

#[service]
trait Methods {
    fn plain(&self, cx: &Context) -> Result<(), Status>;
    async unsafe fn dangerous(&self, cx: &Context) -> Result<(), Status>;
    async extern "C" fn foreign(&self, cx: &Context) -> Result<(), Status>;
    async fn generic<T>(&self, cx: &Context, item: i64) -> Result<(), Status>;
    async fn bounded(&self, cx: &Context) -> Result<(), Status>
    where
        Self: Sized;
    async fn new(&self, cx: &Context) -> Result<(), Status>;
}

#[service]
trait Receivers {
    async fn missing(cx: &Context) -> Result<(), Status>;
    async fn exclusive(&mut self, cx: &Context) -> Result<(), Status>;
    async fn by_value(self, cx: &Context) -> Result<(), Status>;
    async fn shared(self: std::sync::Arc<Self>, cx: &Context) -> Result<(), Status>;
}

fn main() {}
