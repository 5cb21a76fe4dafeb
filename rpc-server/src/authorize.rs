//! Who may enter.

use std::future::Future;

use http::header::ORIGIN;
use http::{Extensions, HeaderValue, Method};
use rpc_core::handshake::Refusal;

use crate::route::{Boxed, Request};

/// Decides about a request; what it found out is for the handlers.
pub(crate) type Authorize = Box<dyn Fn(Request) -> Boxed<Result<Extensions, Refusal>> + Send + Sync>;

pub(crate) fn authorize<F, T>(hook: impl Fn(Request) -> F + Send + Sync + 'static) -> Authorize
where
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    Box::new(move |request| {
        let decision = hook(request);
        Box::pin(async move {
            let mut known = Extensions::new();
            known.insert(decision.await?);
            Ok(known)
        })
    })
}

/// Browsers name the page that a request comes from. No page can send CONNECT today; one that could would
/// reach servers that only its user's machine can.
pub(crate) fn check_origin(request: &Request, allowed: &[HeaderValue]) -> Result<(), Refusal> {
    if request.head.method != Method::CONNECT {
        return Ok(());
    }
    let origins = request.head.headers.get_all(ORIGIN);
    match origins.iter().all(|origin| allowed.contains(origin)) {
        true => Ok(()),
        false => Err(Refusal::forbidden("CONNECT from a web page (Origin) that is not allowed")),
    }
}
