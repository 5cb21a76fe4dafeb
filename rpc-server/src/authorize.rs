//! Who may enter.

use std::future::Future;

use http::header::ORIGIN;
use http::{Extensions, HeaderValue};
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

/// Whether a web page asks that may not. Browsers name the page that a request comes from; a page could otherwise
/// speak to servers that only its user's machine can reach.
pub(crate) fn is_foreign_page(request: &Request, allowed: &[HeaderValue]) -> bool {
    !request.head.headers.get_all(ORIGIN).iter().all(|origin| allowed.contains(origin))
}

pub(crate) fn foreign_page() -> Refusal {
    Refusal::forbidden("no connections for web pages of this Origin")
}
