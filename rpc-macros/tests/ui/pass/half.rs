//! A program that only serves is not warned of the client that it does not use, and the other way.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, rust_2018_idioms)]

use rpc_core::{Context, Service, Status};

mod served {
    use super::*;

    #[rpc_core::service]
    pub(super) trait Served: std::fmt::Debug {
        #[deprecated]
        async fn old(&self, cx: &Context, a: i64) -> Result<i64, Status>;
    }
}

mod called {
    use super::*;

    #[rpc_core::service]
    pub(crate) trait Called {
        async fn ask(&self, cx: &Context) -> Result<(), Status>;
    }
}

#[rpc_core::service]
trait Nothing {}

#[derive(Debug)]
struct Impl;

impl served::Served for Impl {
    async fn old(&self, _cx: &Context, a: i64) -> Result<i64, Status> {
        Ok(a)
    }
}

async fn _ask<C: rpc_core::Caller>(caller: C) -> Result<(), C::Error> {
    called::CalledClient::new(caller).ask().await
}

fn main() {
    assert_eq!(Service::from(served::ServedServer::new(Impl)).methods().len(), 1);
}
