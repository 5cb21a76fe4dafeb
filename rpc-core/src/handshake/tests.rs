// A panic is how a test reports.
#![allow(clippy::unwrap_used)]

mod answer;
mod connect;
mod entry;
mod head;
mod intermediary;
mod refusal;
mod request;
mod websocket;

use http::request::Parts;
use proptest::prelude::*;

use super::{DEFAULT_PATH, Refusal, Terms, negotiate, parse_request};
use crate::format::Format;

/// What a server with every format makes of this head.
fn decide(head: &[u8]) -> Result<Terms, Refusal> {
    decide_among(head, Format::ALL)
}

fn decide_among(head: &[u8], formats: &[Format]) -> Result<Terms, Refusal> {
    negotiate(&parse_request(head)?, DEFAULT_PATH, formats)
}

fn parsed(head: &[u8]) -> Parts {
    parse_request(head).expect("a well-formed head")
}

fn written(refusal: &Refusal) -> String {
    let mut out = Vec::new();
    refusal.write(false, &mut out);
    String::from_utf8(out).expect("text")
}

/// Heads made of plausible pieces: close enough to HTTP to get past the first line, and often wrong.
fn plausible_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "CONNECT",
            "GET",
            "HEAD",
            " ",
            "  ",
            "/_rpc_",
            "/",
            "*",
            "x:1",
            "HTTP/1.0",
            "HTTP/1.1",
            "HTTP/2.0",
            "200",
            "404",
            "Connected",
            "\r\n",
            "\n",
            "\r",
            "\r\n\r\n",
            "\n\n",
            ":",
            ": ",
            "Host",
            "Rpc-Version",
            "Rpc-Format",
            "Rpc-Max-Frame",
            "Rpc-Max-Calls",
            "Content-Length",
            "1",
            "0",
            "65536",
            "+1",
            "bincode",
            "json",
            ",",
            "\t",
            "\u{e9}",
            "\0",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..3),
    ];
    let start = prop::sample::select(vec!["", "\r\n", "CONNECT /_rpc_ HTTP/1.0\r\n", "HTTP/1.1 200 OK\r\n"]);
    (start, prop::collection::vec(piece, 0..40)).prop_map(|(start, pieces)| {
        let mut head = start.as_bytes().to_vec();
        head.extend(pieces.concat());
        head
    })
}
