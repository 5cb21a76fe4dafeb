#![allow(unused)]

use std::collections::HashMap;

use rpc_core::{Context, Status, service};

#[service]
trait Replies {
    async fn nothing(&self, cx: &Context);
    async fn plain(&self, cx: &Context) -> HashMap<String, u8>;
    async fn tuple(&self, cx: &Context) -> (i64, i64);
    async fn alias(&self, cx: &Context) -> std::io::Result<i64>;
    async fn bare(&self, cx: &Context) -> Result;
    async fn borrowed(&self, cx: &Context) -> Result<&str, Status>;
    async fn hidden(&self, cx: &Context) -> Result<impl ToString, Status>;
}

fn main() {}
