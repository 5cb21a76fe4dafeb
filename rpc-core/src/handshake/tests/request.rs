use http::{Method, Version};
use proptest::prelude::*;

use super::{decide, decide_among, parsed, plausible_head, written};
use crate::format::Format;
use crate::handshake::{DEFAULT_PATH, HeadBuffer, MAX_HEADERS, Refusal, Terms, negotiate, parse_request};
use crate::limits::Limits;

/// The status and message that a CONNECT with these header lines gets.
fn refused(lines: &str) -> (u16, String) {
    refusal_of(format!("CONNECT /_rpc_ HTTP/1.1\r\n{lines}\r\n").as_bytes())
}

fn refusal_of(head: &[u8]) -> (u16, String) {
    let refusal = decide(head).unwrap_err();
    (refusal.status().as_u16(), refusal.message().to_owned())
}

fn accepted(lines: &str) -> Terms {
    decide(format!("CONNECT /_rpc_ HTTP/1.1\r\n{lines}\r\n").as_bytes()).unwrap()
}

const PLAIN: Terms = Terms { format: Format::Bincode, limits: LIMITS };

const LIMITS: Limits =
    Limits { max_frame: 4 * 1024 * 1024, max_calls: 1024, window: 512 * 1024, max_streams: 256 };

#[test]
fn a_bare_connect_means_version_1_bincode_and_default_limits() {
    for head in [
        "CONNECT /_rpc_ HTTP/1.0\n\n",
        "CONNECT /_rpc_ HTTP/1.0\r\n\r\n",
        "CONNECT /_rpc_ HTTP/1.1\r\n\n",
        "\r\n\nCONNECT /_rpc_ HTTP/1.1\n\r\n",
    ] {
        assert_eq!(decide(head.as_bytes()).unwrap(), PLAIN);
    }
}

#[test]
fn headers_of_other_versions_and_other_people_are_ignored() {
    assert_eq!(accepted("Rpc-Compression: zstd\r\nAuthorization: Bearer x\r\nX:\r\nHost: a\r\n"), PLAIN);
}

#[test]
fn a_query_is_not_part_of_the_path_and_reaches_the_hook() {
    let request = parsed(b"CONNECT /_rpc_?tenant=a HTTP/1.0\n\n");
    assert!(negotiate(&request, DEFAULT_PATH, Format::ALL).is_ok());
    assert_eq!(request.uri.query(), Some("tenant=a"));
}

#[test]
fn a_request_keeps_its_method_version_and_headers() {
    let request = parsed(b"connect / HTTP/1.0\r\nA: 1\r\na:\t 2 \r\nB: \xff\r\n\r\n");
    assert_eq!(request.method.as_str(), "connect");
    assert_eq!(request.version, Version::HTTP_10);
    assert_eq!(request.headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(request.headers["b"].as_bytes(), b"\xff");
    assert_eq!(parsed(b"GET / HTTP/1.1\n\n").version, Version::HTTP_11);
}

#[test]
fn announced_limits_are_taken() {
    let limits = accepted("Rpc-Version: 1\r\nrpc-max-frame: 65536\r\nRPC-MAX-CALLS: 65536\r\n").limits;
    assert_eq!(limits, Limits { max_frame: 65536, max_calls: 65536, ..LIMITS });
    assert_eq!(accepted("Rpc-Max-Frame: 4294967295\r\nRpc-Max-Calls: 1\r\n").limits.max_frame, u32::MAX);
}

#[test]
fn limits_out_of_range_or_not_a_number_are_refused_with_400() {
    for value in
        ["0", "65535", "4294967296", "99999999999999999999999", "", "+65536", "1e6", "65536, 65536", "-1"]
    {
        let text = format!("Rpc-Max-Frame must be a whole number from 65536 to 4294967295, not \"{value}\"");
        assert_eq!(refused(&format!("Rpc-Max-Frame: {value}\r\n")), (400, text));
    }
    for value in ["0", "65537", "x", "\u{e9}"] {
        let shown = value.as_bytes().escape_ascii();
        let text = format!("Rpc-Max-Calls must be a whole number from 1 to 65536, not \"{shown}\"");
        assert_eq!(refused(&format!("Rpc-Max-Calls: {value}\r\n")), (400, text));
    }
    for value in ["0", "65535", "2147483648"] {
        let text = format!("Rpc-Window must be a whole number from 65536 to 2147483647, not \"{value}\"");
        assert_eq!(refused(&format!("Rpc-Window: {value}\r\n")), (400, text));
    }
    let text = "Rpc-Max-Streams must be a whole number from 0 to 65536, not \"65537\"".to_owned();
    assert_eq!(refused("Rpc-Max-Streams: 65537\r\n"), (400, text));
    let limits = accepted("Rpc-Window: 2147483647\r\nRpc-Max-Streams: 0\r\n").limits;
    assert_eq!((limits.window, limits.max_streams), (i32::MAX as u32, 0));
}

#[test]
fn a_repeated_header_must_not_contradict_itself() {
    for (name, one, other) in
        [("Rpc-Version", "1", "2"), ("Rpc-Max-Frame", "65536", "65537"), ("Rpc-Max-Calls", "1", "01")]
    {
        accepted(&format!("{name}: {one}\r\n{name}: {one}\r\n"));
        let text = format!("{name} given more than once, with different values");
        assert_eq!(refused(&format!("{name}: {one}\r\n{name}: {other}\r\n")), (400, text));
    }
}

#[test]
fn another_rpc_version_is_refused_with_505_and_ours() {
    for version in ["2", "0", "1.0", "", "one"] {
        let text = format!("this server speaks Rpc-Version 1, not \"{version}\"");
        assert_eq!(refused(&format!("Rpc-Version: {version}\r\n")), (505, text));
    }
    let refusal = decide(b"CONNECT /_rpc_ HTTP/1.0\nRpc-Version: 2\n\n").unwrap_err();
    assert_eq!(refusal.headers()["rpc-version"], "1");
}

#[test]
fn no_known_format_is_refused_with_415_and_ours() {
    for names in ["cbor", "", ",", "bincode2, x", "\u{e9}"] {
        let head = format!("CONNECT /_rpc_ HTTP/1.0\nRpc-Format: {names}\n\n");
        let refusal = decide_among(head.as_bytes(), &[Format::Bincode]).unwrap_err();
        assert_eq!(refusal.status().as_u16(), 415);
        assert_eq!(refusal.message(), "no known Rpc-Format, this server has: bincode");
        assert_eq!(refusal.headers()["rpc-format"], "bincode");
    }
}

#[test]
fn a_server_without_bincode_refuses_a_client_that_names_no_format() {
    assert_eq!(decide_among(b"CONNECT /_rpc_ HTTP/1.0\n\n", &[]).unwrap_err().status().as_u16(), 415);
}

#[cfg(feature = "json")]
#[test]
fn the_clients_order_of_preference_decides_among_the_servers_formats() {
    let both = &[Format::Bincode, Format::Json];
    let choice = |lines: &str, formats: &[Format]| {
        decide_among(format!("CONNECT /_rpc_ HTTP/1.0\n{lines}\n").as_bytes(), formats).unwrap().format
    };
    assert_eq!(choice("Rpc-Format: json, bincode\n", both), Format::Json);
    assert_eq!(choice("Rpc-Format: x,,\tJSON\n", both), Format::Json);
    assert_eq!(choice("Rpc-Format: cbor\nRpc-Format: json\nRpc-Format: bincode\n", both), Format::Json);
    assert_eq!(choice("Rpc-Format: bincode, json\n", &[Format::Json]), Format::Json);
}

#[test]
fn any_method_but_connect_gets_405_whatever_the_path_and_headers() {
    for head in [
        "GET /_rpc_ HTTP/1.1\r\n\r\n",
        "POST /elsewhere HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
        "connect /_rpc_ HTTP/1.0\n\n",
        "OPTIONS * HTTP/1.1\nRpc-Version: 9\n\n",
    ] {
        assert_eq!(refusal_of(head.as_bytes()), (405, "405 must CONNECT".to_owned()));
    }
}

#[test]
fn another_path_is_refused_with_404_that_names_both() {
    for (target, shown) in [
        ("/", "/"),
        ("/_goRPC_", "/_goRPC_"),
        ("/_rpc_/", "/_rpc_/"),
        ("//_rpc_", "//_rpc_"),
        ("/%5frpc_?token=x", "/%5frpc_"),
        ("example.com:443", "example.com:443"),
    ] {
        let text = format!("no RPC at \"{shown}\", only at /_rpc_");
        assert_eq!(refusal_of(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes()), (404, text));
    }
    let long = format!("CONNECT /{} HTTP/1.1\r\n\r\n", "\u{e9}".repeat(500));
    assert!(decide(long.as_bytes()).unwrap_err().message().len() < 300);
}

/// Those are for proxies, and a server that dialled for its clients would be an open one.
#[test]
fn a_target_with_an_authority_is_refused_with_404_whatever_its_path() {
    for (target, shown) in [
        ("example.com:443", "example.com:443"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        ("http://example.com/_rpc_", "example.com"),
        ("https://user:secret@example.com:8443/_rpc_?token=x", "example.com:8443"),
    ] {
        let text = format!("no RPC at \"{shown}\", only at /_rpc_");
        assert_eq!(refusal_of(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes()), (404, text));
    }
    // No authority, and no path of ours either.
    let text = "no RPC at \"//example.com/_rpc_\", only at /_rpc_".to_owned();
    assert_eq!(refusal_of(b"CONNECT //example.com/_rpc_ HTTP/1.1\r\n\r\n"), (404, text));
}

#[test]
fn a_connect_with_a_body_is_refused_with_400() {
    assert_eq!(refused("Content-Length: 0\r\n"), (400, "CONNECT with Content-Length".to_owned()));
    assert_eq!(refused("Transfer-Encoding: chunked\r\n"), (400, "CONNECT with Transfer-Encoding".to_owned()));
}

#[test]
fn a_repeated_host_is_refused_with_400_in_any_request() {
    for method in ["CONNECT", "GET"] {
        let head = format!("{method} /_rpc_ HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n");
        assert_eq!(refusal_of(head.as_bytes()), (400, "Host given more than once".to_owned()));
    }
}

#[test]
fn folded_header_lines_are_refused_with_400() {
    let folded = "header line starts with white space (obsolete folding, RFC 9112 section 5.2)";
    for lines in ["A: b\r\n c\r\n", "A: b\n\tc: d\n", " A: b\r\n", "A:\r\n b\r\n"] {
        assert_eq!(refused(lines), (400, folded.to_owned()));
    }
}

#[test]
fn malformed_heads_are_refused_with_400_that_says_what_is_wrong() {
    for (head, text) in [
        ("CONNECT\n\n", "malformed request line"),
        ("CONNECT /_rpc_\n\n", "malformed request line"),
        ("CONNECT  /_rpc_ HTTP/1.0\n\n", "malformed request line"),
        ("\x16\x03\x01\x02\n\n", "malformed request line"),
        ("CONNECT /_rpc_ HTTQ/1.0\n\n", "malformed or unknown HTTP version"),
        ("CONNECT /_rpc_ HTTP/one\n\n", "malformed or unknown HTTP version"),
        ("CONNECT /_rpc_ HTTP/1.0 \n\n", "carriage return without line feed"),
        ("CONNECT http:// HTTP/1.0\n\n", "malformed request target"),
        ("CONNECT / HTTP/1.0\nA b: c\n\n", "malformed header name"),
        ("CONNECT / HTTP/1.0\nA : c\n\n", "malformed header name"),
        ("CONNECT / HTTP/1.0\nno colon\n\n", "malformed header name"),
        ("CONNECT / HTTP/1.0\nA: \0\n\n", "malformed header value"),
        ("CONNECT / HTTP/1.0\nA: b\rc\n\n", "malformed header value"),
        ("CONNECT / HTTP/1.0\n", "not exactly one head"),
        ("CONNECT / HTTP/1.0\n\nx", "not exactly one head"),
        ("", "not exactly one head"),
    ] {
        assert_eq!(refusal_of(head.as_bytes()), (400, text.to_owned()), "{head:?}");
    }
}

#[test]
fn a_refusal_never_quotes_a_secret() {
    let head = b"CONNECT / HTTP/1.0\nAuthorization: Bearer secret\0\n\n";
    assert!(!written(&parse_request(head).unwrap_err()).contains("secret"));
}

#[test]
fn another_http_version_is_refused_with_505() {
    let text = "this server speaks HTTP/1.0 and HTTP/1.1".to_owned();
    for head in
        ["PRI * HTTP/2.0\r\n\r\n", "\r\nCONNECT / HTTP/1.2\n\n", "GET / HTTP/3\n\n", "GET / HTTP/0.9\n\n"]
    {
        assert_eq!(refusal_of(head.as_bytes()), (505, text.clone()));
    }
}

#[test]
fn the_64th_header_passes_and_the_65th_is_refused_with_431() {
    assert_eq!(accepted(&"A: b\r\n".repeat(MAX_HEADERS)), PLAIN);
    assert_eq!(refused(&"A: b\r\n".repeat(MAX_HEADERS + 1)), (431, "more than 64 headers".to_owned()));
}

/// A result that can be compared.
fn outcome(result: Result<Terms, Refusal>) -> Result<Terms, String> {
    result.map_err(|refusal| written(&refusal))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decide(&bytes);
    }

    #[test]
    fn plausible_heads_never_panic_and_a_found_head_is_exactly_one(bytes in plausible_head()) {
        let _ = decide(&bytes);
        if let Ok(Some(whole)) = HeadBuffer::default().push(&bytes)
            && let Err(refusal) = decide(&whole.head)
        {
            prop_assert_ne!(refusal.message(), "not exactly one head");
        }
    }

    #[test]
    fn any_slicing_gives_the_same_decision(bytes in plausible_head(), size in 1_usize..20) {
        let mut at_once = HeadBuffer::default();
        let mut sliced = HeadBuffer::default();
        let whole = at_once.push(&bytes).unwrap().map(|whole| outcome(decide(&whole.head)));
        let pieces = bytes.chunks(size).find_map(|chunk| sliced.push(chunk).unwrap());
        prop_assert_eq!(whole, pieces.map(|whole| outcome(decide(&whole.head))));
    }

    #[test]
    fn only_a_connect_on_the_path_is_ever_accepted(bytes in plausible_head()) {
        if let Ok(request) = parse_request(&bytes) {
            let accepted = negotiate(&request, DEFAULT_PATH, Format::ALL).is_ok();
            prop_assert!(!accepted || (request.method == Method::CONNECT && request.uri.path() == DEFAULT_PATH));
        }
    }
}
