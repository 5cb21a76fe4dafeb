#![allow(unused)]

use rpc_core::{Context, Status, service};

#[service]
trait Names {
    async fn divide(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = "Divide")]
    async fn quotient(&self, cx: &Context) -> Result<(), Status>;
    async fn di_vide(&self, cx: &Context) -> Result<(), Status>;
    async fn r#divide_(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = "Math.Divide")]
    async fn dot(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = "two words\n")]
    async fn space(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = "")]
    async fn empty(&self, cx: &Context) -> Result<(), Status>;
    async fn größe(&self, cx: &Context) -> Result<(), Status>;
    async fn __(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = "a_name_that_is_far_too_long_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    async fn long(&self, cx: &Context) -> Result<(), Status>;
}

#[service(name = "Größe")]
trait Size {
    async fn ask(&self, cx: &Context) -> Result<(), Status>;
}

fn main() {}
