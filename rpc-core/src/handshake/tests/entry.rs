use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue};

use super::parsed;
use crate::format::Format;
use crate::handshake::{AnswerError, Connect, ConnectError, DEFAULT_PATH, Entry, parse_answer};
use crate::limits::Limits;

#[test]
fn a_request_asks_by_connect_or_by_a_whole_upgrade() {
    const CONNECT: Option<Entry> = Some(Entry::Connect);
    const UPGRADE: Option<Entry> = Some(Entry::Upgrade);
    for (line, headers, asks) in [
        ("CONNECT /_rpc_ HTTP/1.0", "", CONNECT),
        ("CONNECT / HTTP/1.1", "Connection: upgrade\nUpgrade: websocket\n", CONNECT),
        ("GET / HTTP/1.1", "Connection: Upgrade\nUpgrade: rpc\n", UPGRADE),
        ("GET / HTTP/1.1", "Connection: keep-alive, UPGRADE\nUpgrade: h2c , RPC\n", UPGRADE),
        ("GET / HTTP/1.1", "Connection: a\nConnection: upgrade\nUpgrade: h2c\nUpgrade: rpc\n", UPGRADE),
        ("GET / HTTP/1.1", "Connection: upgrade\nUpgrade: websocket\n", Some(Entry::WebSocket)),
        ("GET / HTTP/1.1", "Connection: upgrade\nUpgrade: rpc2\n", None),
        ("GET / HTTP/1.1", "Connection: upgrades\nUpgrade: rpc\n", None),
        ("GET / HTTP/1.1", "Upgrade: rpc\n", None),
        ("GET / HTTP/1.1", "Connection: upgrade\n", None),
        ("GET / HTTP/1.0", "Connection: upgrade\nUpgrade: rpc\n", None),
        ("POST / HTTP/1.1", "Connection: upgrade\nUpgrade: rpc\n", None),
    ] {
        let request = parsed(format!("{line}\n{headers}\n").as_bytes());
        assert_eq!(Entry::of(&request), asks, "{line} {headers}");
    }
}

fn written(headers: &HeaderMap) -> Result<String, ConnectError> {
    let mut out = Vec::new();
    Connect {
        path: &PathAndQuery::from_static(DEFAULT_PATH),
        authority: &Authority::from_static("far:1"),
        formats: &[Format::Bincode],
        limits: Limits::default(),
        headers,
    }
    .write_by(Entry::Upgrade, &HeaderMap::new(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn the_head_of_an_upgrade_has_its_exact_bytes() {
    let headers = HeaderMap::from_iter([("x-tenant".parse().unwrap(), HeaderValue::from_static("a"))]);
    assert_eq!(
        written(&headers).unwrap(),
        "GET /_rpc_ HTTP/1.1\r\nHost: far:1\r\nConnection: Upgrade\r\nUpgrade: rpc\r\nRpc-Version: 1\r\n\
         Rpc-Format: bincode\r\nRpc-Max-Frame: 4194304\r\nRpc-Max-Calls: 1024\r\n\
         Rpc-Window: 524288\r\nRpc-Max-Streams: 256\r\nX-Tenant: a\r\n\r\n"
    );
}

#[test]
fn what_an_upgrade_sets_itself_is_no_header_of_the_callers() {
    for name in ["connection", "upgrade", "host", "rpc-version"] {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static("a"))]);
        assert_eq!(written(&headers), Err(ConnectError::ReservedHeader(name.parse().unwrap())));
    }
}

#[test]
fn an_upgrade_is_accepted_by_a_101_that_names_it_and_by_nothing_else() {
    let answered = |entry, head: &str| parse_answer(entry, head.as_bytes(), &[Format::Bincode]);
    let switched = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: rpc\n\n";
    assert!(answered(Entry::Upgrade, switched).is_ok());
    assert!(matches!(answered(Entry::Connect, switched), Err(AnswerError::Refused(_))));
    for (entry, head) in [
        (Entry::WebSocket, switched),
        (Entry::Upgrade, "HTTP/1.1 101 Switching Protocols\nUpgrade: h2c\n\n"),
        (Entry::Upgrade, "HTTP/1.1 200 OK\nUpgrade: rpc\n\n"),
    ] {
        assert!(matches!(answered(entry, head), Err(AnswerError::NotSwitched { .. })), "{head}");
    }
    let refused = answered(Entry::Upgrade, "HTTP/1.0 405 Method Not Allowed\n\n");
    assert!(matches!(refused, Err(AnswerError::Refused(_))));
}
