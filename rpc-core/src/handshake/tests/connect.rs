use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::decide;
use crate::format::Format;
use crate::handshake::{Connect, ConnectError, DEFAULT_PATH};
use crate::limits::Limits;

fn write(path: &str, authority: &str, limits: Limits, headers: &HeaderMap) -> Result<String, ConnectError> {
    let mut out = Vec::new();
    let written = Connect {
        path: &path.parse::<PathAndQuery>().unwrap(),
        authority: &authority.parse::<Authority>().unwrap(),
        formats: Format::ALL,
        limits,
        headers,
    }
    .write(&mut out);
    assert!(written.is_ok() || out.is_empty());
    written.map(|()| String::from_utf8(out).unwrap())
}

fn write_with(headers: &HeaderMap) -> Result<String, ConnectError> {
    write(DEFAULT_PATH, "localhost:1234", Limits::default(), headers)
}

#[cfg(feature = "json")]
#[test]
fn the_head_of_a_connect_has_its_exact_bytes() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer token"));
    headers.append("x-tenant", HeaderValue::from_static("a"));
    headers.append("x-tenant", HeaderValue::from_static("b"));
    assert_eq!(
        write_with(&headers).unwrap(),
        "CONNECT /_rpc_ HTTP/1.0\r\nHost: localhost:1234\r\nRpc-Version: 1\r\nRpc-Format: bincode, json\r\n\
         Rpc-Max-Frame: 4194304\r\nRpc-Max-Calls: 1024\r\n\
         Rpc-Window: 524288\r\nRpc-Max-Streams: 256\r\n\
         Authorization: Bearer token\r\nX-Tenant: a\r\nX-Tenant: b\r\n\r\n"
    );
}

#[test]
fn a_user_name_is_not_part_of_the_host() {
    let head = write("/a?b=c", "ann:secret@[::1]:80", Limits::default(), &HeaderMap::new()).unwrap();
    assert!(head.starts_with("CONNECT /a?b=c HTTP/1.0\r\nHost: [::1]:80\r\n"));
}

#[test]
fn headers_of_the_handshake_cannot_be_overridden() {
    for name in ["host", "content-length", "transfer-encoding", "rpc-version", "rpc-format", "rpc-anything"] {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        let error = write_with(&headers).unwrap_err();
        assert_eq!(error, ConnectError::ReservedHeader(HeaderName::from_static(name)));
    }
    let text = ConnectError::ReservedHeader(HeaderName::from_static("rpc-version")).to_string();
    assert_eq!(text, "header Rpc-Version belongs to the handshake");
}

#[test]
fn a_path_that_no_server_can_have_is_an_error() {
    for path in ["*", "/\u{e9}"] {
        let error = write(path, "a", Limits::default(), &HeaderMap::new()).unwrap_err();
        assert_eq!(error, ConnectError::Path(path.to_owned()));
    }
}

#[test]
fn limits_that_every_server_refuses_are_an_error() {
    let write_limits = |max_frame, max_calls| {
        write(DEFAULT_PATH, "a", Limits { max_frame, max_calls, ..Limits::default() }, &HeaderMap::new())
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        write_limits(65535, 1),
        Err("max_frame is 65535, but must be from 65536 to 4294967295".to_owned())
    );
    assert_eq!(write_limits(65536, 0), Err("max_calls is 0, but must be from 1 to 65536".to_owned()));
    assert!(write_limits(65536, 65537).is_err());
    assert!(write_limits(u32::MAX, 65536).is_ok());
}

#[test]
fn an_offer_without_formats_is_an_error() {
    let connect = Connect {
        path: &PathAndQuery::from_static(DEFAULT_PATH),
        authority: &Authority::from_static("a"),
        formats: &[],
        limits: Limits::default(),
        headers: &HeaderMap::new(),
    };
    assert_eq!(connect.write(&mut Vec::new()), Err(ConnectError::NoFormat));
}

proptest! {
    #[test]
    fn what_a_client_announces_is_what_the_server_reads(
        max_frame in 65_536_u32..,
        max_calls in 1_u32..=65_536,
    ) {
        let limits = Limits { max_frame, max_calls, ..Limits::default() };
        let head = write(DEFAULT_PATH, "localhost", limits, &HeaderMap::new()).unwrap();
        prop_assert_eq!(decide(head.as_bytes()).unwrap().limits, limits);
    }
}
