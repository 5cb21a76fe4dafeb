//! What a request comes to.

use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rpc_core::handshake::{Entry, Refusal, Terms, negotiate, negotiate_terms};
use rpc_core::{Limits, Origin};

use super::switching::switching;
use super::{Deadline, Door, by, shutting_down};
use crate::authorize::{foreign_page, is_foreign_page};
use crate::guard::guarded;
use crate::route::{Kind, Reply, Request, Route};

pub(super) enum Decision<'a> {
    Enter(Entrance),
    Route(&'a Route, Request),
}

/// On what terms RPC begins.
pub(super) struct Entrance {
    pub(super) entry: Entry,
    pub(super) origin: Origin,
    pub(super) limits: Limits,
    /// Of an answer that switches protocols.
    pub(super) switching: HeaderMap,
}

impl Door {
    pub(super) async fn decide(
        &self,
        mut request: Request,
        deadline: Deadline,
    ) -> Result<Decision<'_>, Refusal> {
        let config = &self.server.config;
        let entry = self.entry(&request);
        if entry.is_some() && is_foreign_page(&request, &config.origins) {
            return Err(foreign_page());
        }
        let is_connect = request.head.method == Method::CONNECT;
        // A CONNECT that names a host is not for any path here, but for a proxy.
        let for_proxy = is_connect && request.head.uri.authority().is_some();
        if let Some(route) = self.server.routes.get(request.path()).filter(|_| !for_proxy) {
            self.authorize(&mut request, deadline).await?;
            return Ok(Decision::Route(route, request));
        }
        let (entry, terms) = match entry {
            Some(entry) if !is_connect => (entry, negotiate_terms(entry, &request.head, &config.formats)?),
            _ => (Entry::Connect, negotiate(&request.head, &config.path, &config.formats)?),
        };
        self.admit(request, entry, terms, deadline).await.map(Decision::Enter)
    }

    /// How RPC is asked for, as far as that is allowed here.
    fn entry(&self, request: &Request) -> Option<Entry> {
        let config = &self.server.config;
        let is_here = || request.head.uri.authority().is_none() && request.path() == config.path;
        Entry::of(&request.head).filter(|entry| match entry {
            Entry::Connect => true,
            entry => config.upgrades.contains(entry) && is_here(),
        })
    }

    /// Lets a request in that asks for RPC on these terms, if the hooks agree.
    pub(super) async fn admit(
        &self,
        mut request: Request,
        entry: Entry,
        terms: Terms,
        deadline: Deadline,
    ) -> Result<Entrance, Refusal> {
        let switching = switching(entry, &request.head, terms.format)?;
        self.authorize(&mut request, deadline).await?;
        let Request { head: Parts { headers, extensions, .. }, peer } = request;
        let origin = Origin::new(peer, terms.format).with_headers(headers).with_extensions(extensions);
        Ok(Entrance { entry, origin, limits: terms.limits, switching })
    }

    /// Asks the hooks, and leaves with the request what they found out.
    async fn authorize(&self, request: &mut Request, deadline: Deadline) -> Result<(), Refusal> {
        for authorize in &self.server.config.authorize {
            let asked = request.clone();
            let decided = by(deadline, guarded(async { authorize(asked).await }));
            let late = |_| Refusal::service_unavailable("who may enter was not decided in time");
            let decided = self.server.shutdown.drain.run_until_cancelled(decided).await;
            let decided = decided.ok_or_else(shutting_down)?.map_err(late)?;
            let known = decided.map_err(|_| internal("what decides who may enter panicked"))??;
            request.head.extensions.extend(known);
        }
        Ok(())
    }

    /// Has the route's handler reply, to what its request may get.
    pub(super) async fn reply(&self, route: &Route, request: Request) -> Result<Kind, Refusal> {
        let shutdown = &self.server.shutdown;
        let is_connect = request.head.method == Method::CONNECT;
        let is_foreign = is_foreign_page(&request, &self.server.config.origins);
        let path = request.path().to_owned();
        let replied = guarded(async { route(&self.server, request).await });
        let Some(replied) = shutdown.cancel.run_until_cancelled(replied).await else {
            shutdown.count_cut_off();
            return Err(shutting_down());
        };
        let Ok(Reply(reply)) = replied else {
            tracing::error!(path, "the handler of a route panicked");
            return Err(internal("the handler of this path panicked"));
        };
        match &reply {
            Kind::Hijack(_) if is_foreign => Err(foreign_page()),
            Kind::Respond(response) if response.status().is_informational() => {
                Err(internal("the handler of this path gave no final answer"))
            }
            // A 2xx to CONNECT is the end of HTTP, and has no body (RFC 9110, section 9.3.6).
            Kind::Respond(response) if is_connect && response.status().is_success() => {
                let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "no CONNECT at this path");
                Err(refusal.with_header(ALLOW, HeaderValue::from_static("GET, HEAD")))
            }
            _ => Ok(reply),
        }
    }
}

fn internal(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}
