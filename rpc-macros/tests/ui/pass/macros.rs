//! A contract written by a macro, with methods that depend on the build.
#![deny(warnings)]

use rpc_core::{Context, Service, Status};

macro_rules! store {
    ($name:ident, $cx:ty, $item:ty) => {
        #[rpc_core::service]
        pub trait $name {
            async fn put(&self, cx: &$cx, item: $item) -> Result<$item, Status>;
            #[cfg(all())]
            async fn keep(&self, cx: &$cx, item: Vec<$item>, times: u8) -> Result<(), Status> {
                let _ = (cx, item, times);
                Err(Status::unimplemented("not yet"))
            }
            #[cfg(any())]
            #[rpc(name = "Keep")]
            async fn keep_otherwise(&self, cx: &$cx) -> Result<Missing, Status>;
        }
    };
}

store!(Texts, Context, String);

struct Impl;

impl Texts for Impl {
    async fn put(&self, _cx: &Context, item: String) -> Result<String, Status> {
        Ok(item)
    }
}

fn main() {
    let service = Service::from(TextsServer::new(Impl));
    let names: Vec<_> = service.methods().iter().map(|method| method.name()).collect();
    assert_eq!(names, ["Put", "Keep"]);
}
