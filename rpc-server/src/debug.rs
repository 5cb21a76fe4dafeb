//! The debug page: what net/rpc shows at `/debug/rpc`, and the same as JSON.

use std::fmt::Write;

use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use rpc_core::handshake::Refusal;
use serde::Serialize;

use crate::registry::MethodStats;
use crate::state::State;

#[derive(Serialize)]
struct Page {
    connections: usize,
    methods: Vec<MethodStats>,
}

/// Answers a request for the page.
pub(crate) fn page(server: &State, parts: &Parts) -> Result<Response<Vec<u8>>, Refusal> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "405 must GET");
        return Err(refusal.with_header(ALLOW, HeaderValue::from_static("GET, HEAD")));
    }
    let connections = server.room.open();
    let page = Page { connections, methods: server.registry.stats() };
    let asks_json = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
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
