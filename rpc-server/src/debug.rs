//! The debug page: what net/rpc shows at `/debug/rpc`, and the same as JSON.

use std::fmt::Write;
use std::future::ready;
use std::net::IpAddr;

use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Response, StatusCode};
use rpc_core::Peer;
use rpc_core::handshake::Refusal;
use serde::Serialize;

use crate::registry::MethodStats;
use crate::route::{Boxed, Reply, Request};
use crate::state::State;

#[derive(Serialize)]
struct Page {
    connections: usize,
    methods: Vec<MethodStats>,
}

/// Answers a request for the page about `server`.
pub(crate) fn answer(server: &State, request: &Request) -> Result<Response<Vec<u8>>, Refusal> {
    check_host(request, &server.config.debug_hosts)?;
    page(server, request)
}

/// The same for a route of this crate's.
pub(crate) fn reply(server: &State, request: &Request) -> Boxed<Reply> {
    Box::pin(ready(answer(server, request).into()))
}

/// The page tells all that the server can do: to this machine, or by a name that was allowed.
fn check_host(request: &Request, allowed: &[String]) -> Result<(), Refusal> {
    let told = request.head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let told = told.or_else(|| Some(request.head.headers.get(HOST)?.as_bytes()));
    let host = match told.filter(|host| !host.is_empty()).map(Authority::try_from) {
        Some(Ok(authority)) => bare(authority.host()),
        Some(Err(_)) => return Err(Refusal::bad_request("malformed Host")),
        None => None,
    };
    let Peer { address, unix, .. } = &request.peer;
    let is_near = unix.is_some() || address.is_some_and(|address| address.ip().to_canonical().is_loopback());
    let may_see = match &host {
        Some(host) => allowed.contains(host) || is_near && is_loopback(host),
        // What is no browser may leave the name out.
        None => is_near,
    };
    match may_see {
        true => Ok(()),
        false => Err(Refusal::forbidden("the debug page is for this machine, and by its loopback names")),
    }
}

/// A host in the one form in which hosts are compared; `None` when it is none.
pub(crate) fn bare(host: &str) -> Option<String> {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match inner.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().to_string()),
        Err(_) if inner.is_empty() || inner.contains([':', '/', '@', '[']) => None,
        Err(_) => Some(inner.to_ascii_lowercase()),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn page(server: &State, request: &Request) -> Result<Response<Vec<u8>>, Refusal> {
    let head = &request.head;
    if head.method != Method::GET && head.method != Method::HEAD {
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "405 must GET");
        return Err(refusal.with_header(ALLOW, HeaderValue::from_static("GET, HEAD")));
    }
    let connections = server.room.open();
    let page = Page { connections, methods: server.registry.stats() };
    let asks_json = head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
    let (kind, body) = if asks_json {
        let json = serde_json::to_vec_pretty(&page)
            .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        ("application/json", json)
    } else {
        ("text/html; charset=utf-8", html(&page).into_bytes())
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn html(page: &Page) -> String {
    let mut html = String::from("<!DOCTYPE html>\n<html>\n<head><title>Services</title></head>\n<body>\n");
    let _ = writeln!(html, "<p>Connections: {}</p>", page.connections);
    for service in page.methods.chunk_by(|one, next| one.service == next.service) {
        let Some(first) = service.first() else { continue };
        let _ = writeln!(html, "<hr>\nService {}\n<hr>\n<table>", escape(&first.service));
        html.push_str("<tr><th>Method</th><th>Calls</th><th>Errors</th><th>In flight</th></tr>\n");
        for MethodStats { method, argument, reply, calls, errors, in_flight, .. } in service {
            let signature = escape(&format!("{method}({argument}, {reply}) error"));
            let _ = writeln!(
                html,
                "<tr><td>{signature}</td><td>{calls}</td><td>{errors}</td><td>{in_flight}</td></tr>"
            );
        }
        html.push_str("</table>\n");
    }
    html.push_str("</body>\n</html>\n");
    html
}

/// Type names hold `<` and `&`.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
