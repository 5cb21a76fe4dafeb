#![allow(unused)]

use rpc_core::{Context, Status, service};

#[service]
trait Generic<K>
where
    K: Send,
{
    async fn put(&self, cx: &Context) -> Result<(), Status>;
}

#[service]
unsafe trait Unsafe {
    async fn put(&self, cx: &Context) -> Result<(), Status>;
}

#[service]
trait Items {
    const SIZE: usize;
    type Item;
    thread_local!();
    async fn put(&self, cx: &Context) -> Result<(), Status>;
}

fn main() {}
