//! Names that get in the way: keywords, names that the generated code uses itself, type parameters.
#![deny(warnings)]

use rpc_core::{Context as Cx, Service, Status};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct C;

#[rpc_core::service]
trait r#Type {
    async fn r#type(&self, r#in: &Cx, r#for: i64) -> Result<(), Status>;
    async fn clone(&self, cx: &rpc_core::Context, cx2: i64) -> Result<(), Status>;
    async fn with(&self, cx: &::rpc_core::Context, service: i64, server: i64) -> Result<(), Status>;
    async fn caller(&self, _: &Cx, caller: i64) -> Result<(), Status>;
    async fn parameter(&self, _cx: &Cx, own: self::C) -> std::result::Result<Option<self::C>, Status>;
    async fn borrowed(&self, cx: &Cx, text: std::borrow::Cow<'static, str>) -> Result<(), Status>;
}

struct Impl;

impl r#Type for Impl {
    async fn r#type(&self, _: &Cx, _: i64) -> Result<(), Status> {
        Ok(())
    }
    async fn clone(&self, _: &Cx, _: i64) -> Result<(), Status> {
        Ok(())
    }
    async fn with(&self, _: &Cx, _: i64, _: i64) -> Result<(), Status> {
        Ok(())
    }
    async fn caller(&self, _: &Cx, _: i64) -> Result<(), Status> {
        Ok(())
    }
    async fn parameter(&self, _: &Cx, own: C) -> Result<Option<C>, Status> {
        Ok(Some(own))
    }
    async fn borrowed(&self, _: &Cx, _: std::borrow::Cow<'static, str>) -> Result<(), Status> {
        Ok(())
    }
}

fn main() {
    let service = Service::from(TypeServer::new(Impl));
    assert_eq!(service.name(), "Type");
    let names: Vec<_> = service.methods().iter().map(|method| method.name()).collect();
    assert_eq!(names, ["Type", "Clone", "With", "Caller", "Parameter", "Borrowed"]);
}
