#![allow(unused)]

use std::borrow::Cow;
use std::collections::HashMap;

use rpc_core::{Context, Status, service};

pub struct T;

#[service]
trait Arguments {
    async fn text(&self, cx: &Context, name: &str) -> Result<(), Status>;
    async fn slice(&self, cx: &Context, list: &[HashMap<String, u8>]) -> Result<(), Status>;
    async fn reference(&self, cx: &Context, list: &Vec<u8>, second: &mut i64) -> Result<(), Status>;
    async fn inside(&self, cx: &Context, list: Vec<&str>) -> Result<(), Status>;
    async fn lifetime(&self, cx: &Context, text: Cow<'a, str>) -> Result<(), Status>;
    async fn any(&self, cx: &Context, item: impl ToString) -> Result<(), Status>;
    async fn object(&self, cx: &Context, item: Box<dyn ToString>) -> Result<(), Status>;
    async fn itself(&self, cx: &Context, item: Option<Self>) -> Result<(), Status>;
    async fn parameter(&self, cx: &Context, item: T) -> Result<(), Status>;
    async fn pattern(&self, cx: &Context, (a, b): (i64, i64)) -> Result<(), Status>;
    async fn changed(&self, cx: &Context, mut a: i64) -> Result<(), Status>;
    async fn unnamed(&self, cx: &Context, _: i64) -> Result<(), Status>;
    async fn attribute(&self, cx: &Context, #[allow(unused)] a: i64) -> Result<(), Status>;
}

fn main() {}
