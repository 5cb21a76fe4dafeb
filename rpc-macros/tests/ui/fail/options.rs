#![allow(unused)]

use rpc_core::{Context, Status, service};

#[service(rename = "A")]
trait Unknown {
    #[rpc(spwan)]
    async fn a(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(spawn, blocking)]
    async fn b(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(spawn)]
    #[rpc(spawn)]
    async fn c(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = "D", name = "E")]
    async fn d(&self, cx: &Context) -> Result<(), Status>;
    #[rpc(name = 7)]
    async fn e(&self, cx: &Context) -> Result<(), Status>;
    #[rpc]
    async fn f(&self, cx: &Context) -> Result<(), Status>;
}

#[service("Name")]
trait Literal {}

fn main() {}
