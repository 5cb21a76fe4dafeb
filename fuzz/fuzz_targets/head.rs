//! Heads in any slices: the outcome is that of the whole, and a refusal is an answer that its client reads.
//!
//! The first two bytes of the input say how the rest is sliced; the third, when it is not 0, is the limit
//! of the head in units of 8 bytes.

#![no_main]

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use libfuzzer_sys::fuzz_target;
use rpc_core::Format;
use rpc_core::handshake::{
    AnswerError, DEFAULT_PATH, Entry, HeadBuffer, HeadTooLarge, MAX_HEAD, MAX_HEADERS, Refusal,
    check_first_bytes, check_limits, check_request_bytes, negotiate, parse_answer, parse_request,
    parse_response, write_acceptance, write_request,
};
use rpc_fuzz::Slicing;

fuzz_target!(|data: &[u8]| {
    let Some((&[first, second, limit], bytes)) = data.split_first_chunk() else { return };
    let slicing = Slicing { sizes: [first, second], ..Slicing::WHOLE };
    let limit = if limit == 0 { MAX_HEAD } else { usize::from(limit) * 8 };

    let whole = find(bytes, limit, &Slicing::WHOLE);
    assert_eq!(whole, find(bytes, limit, &slicing), "slices change where the head ends");
    first_bytes(bytes);
    match whole {
        Ok(Some(head)) => {
            request(&head);
            answer(&head);
        }
        Ok(None) => assert!(bytes.len() <= limit),
        Err(error) => refusal(&Refusal::from(error)),
    }
});

/// The head, once it is whole; what is left must be the bytes behind it.
fn find(bytes: &[u8], limit: usize, slicing: &Slicing) -> Result<Option<Vec<u8>>, HeadTooLarge> {
    let mut buffer = HeadBuffer::new(limit);
    let mut arrived = 0;
    for slice in slicing.slices(bytes) {
        arrived += slice.len();
        match buffer.push(slice) {
            Ok(None) => assert_eq!(buffer.bytes(), &bytes[..arrived]),
            Ok(Some(whole)) => {
                assert!(whole.head.len() <= limit && buffer.is_empty());
                assert_eq!(whole.head, &bytes[..arrived - whole.rest.len()]);
                return Ok(Some(whole.head));
            }
            Err(error) => {
                assert!(buffer.push(b"\n\n").is_err(), "too large stays too large");
                return Err(error);
            }
        }
    }
    Ok(None)
}

/// What a few bytes showed to be no HTTP does not become HTTP with more of them.
fn first_bytes(bytes: &[u8]) {
    let whole = check_first_bytes(bytes);
    for len in 0..bytes.len().min(8) {
        let start = check_first_bytes(&bytes[..len]);
        if start.is_err() || len >= 5 {
            assert_eq!(start.is_err(), whole.is_err(), "{len} bytes say otherwise than all");
        }
    }
}

fn request(head: &[u8]) {
    let parts = match parse_request(head) {
        Ok(parts) => parts,
        Err(refused) => return refusal(&refused),
    };
    check_request_bytes(head).expect("what is a request does not begin like TLS");
    written_again(parts.clone());
    for formats in [&[Format::Bincode][..], &[Format::Json], Format::ALL] {
        match negotiate(&parts, DEFAULT_PATH, formats) {
            Ok(terms) => {
                assert!(formats.contains(&terms.format));
                assert!(parts.uri.authority().is_none() && parts.uri.path() == DEFAULT_PATH, "for a proxy");
                check_limits(terms.limits).expect("limits were checked");
                let mut out = Vec::new();
                write_acceptance(terms.format, terms.limits, &mut out);
                let read = parse_answer(Entry::Connect, &out, formats).expect("an acceptance reads back");
                assert_eq!(read, terms);
            }
            Err(refused) => refusal(&refused),
        }
    }
}

/// A request that can be sent is read as what it was.
fn written_again(mut parts: Parts) {
    parts.headers.remove(HOST);
    let mut out = Vec::new();
    if write_request(&parts, &Authority::from_static("localhost:1"), &mut out).is_err() {
        return assert!(out.is_empty());
    }
    // Host comes on top.
    let Ok(mut read) = parse_request(&out) else {
        return assert_eq!(parts.headers.len(), MAX_HEADERS, "it does not read back");
    };
    assert_eq!(read.headers.remove(HOST).expect("a host"), "localhost:1");
    assert_eq!((&read.method, &read.uri, read.version), (&parts.method, &parts.uri, parts.version));
    assert_eq!(read.headers, parts.headers);
}

fn answer(head: &[u8]) {
    if let Ok(response) = parse_response(head) {
        assert!(head.trim_ascii_start().starts_with(format!("{:?}", response.version).as_bytes()));
    } else {
        parse_answer(Entry::Connect, head, Format::ALL)
            .expect_err("what is no answer at all accepts nothing");
    }
    for entry in [Entry::Upgrade, Entry::WebSocket] {
        if parse_answer(entry, head, Format::ALL).is_ok() {
            parse_answer(Entry::Connect, head, Format::ALL).expect_err("one head does not accept both");
        }
    }
    match parse_answer(Entry::Connect, head, &[Format::Bincode]) {
        Ok(terms) => {
            assert_eq!(terms.format, Format::Bincode);
            check_limits(terms.limits).expect("limits were checked");
        }
        Err(error) => {
            match &error {
                AnswerError::Refused(refused) | AnswerError::Proxy { answer: refused, .. } => {
                    assert!(!refused.status().is_success());
                }
                AnswerError::WebPage { status, .. } => assert!(status.is_success()),
                _ => {}
            }
            let text = error.to_string();
            assert!(!text.contains(char::is_control) && text.len() < 2048, "not fit for a log: {text:?}");
        }
    }
}

/// A refusal on the wire: HTTP/1.0, complete, closing, and read by a client as what it is.
fn refusal(refused: &Refusal) {
    let mut out = Vec::new();
    refused.write(false, &mut out);
    let whole = HeadBuffer::new(usize::MAX).push(&out).expect("no limit").expect("the head is whole");
    let mut head_only = Vec::new();
    refused.write(true, &mut head_only);
    assert_eq!(head_only, whole.head);

    let mut lines = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut lines);
    assert_eq!(parsed.parse(&whole.head), Ok(httparse::Status::Complete(whole.head.len())));
    assert_eq!(parsed.version, Some(0));

    let Err(AnswerError::Refused(mut read)) = parse_answer(Entry::Connect, &whole.head, Format::ALL) else {
        panic!("a refusal is read as something else: {refused}")
    };
    assert_eq!(read.status(), refused.status());
    assert!(read.status() >= StatusCode::BAD_REQUEST, "the core refuses with a client or server error");
    assert_eq!(read.headers()[CONTENT_LENGTH], whole.rest.len().to_string());
    assert_eq!(read.headers()[CONNECTION], "close");
    assert!(!read.headers().contains_key(TRANSFER_ENCODING));
    read.read_body(whole.rest);
    assert_eq!(read.message(), refused.message(), "the text arrives as it was written");
}
