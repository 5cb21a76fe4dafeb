use bytes::Bytes;

use super::{DecodeError, Format, decode, encode};
use crate::body::{Body, LARGE_BODY};

#[test]
fn bytes_share_the_memory_of_an_owned_body() {
    for length in [0, 1, 250, 251, 65_535, 65_536] {
        let value = Bytes::from(vec![7; length]);
        let body = Bytes::from(encode(Format::Bincode, &value));
        let decoded: Bytes = Format::Bincode.decode(Body::Owned(body.clone())).expect("a valid body");
        assert_eq!(decoded, value);
        let prefix = body.len() - length;
        assert!(length == 0 || decoded.as_ptr() == body[prefix..].as_ptr(), "{length}");
        assert_eq!(decode(Format::Bincode, &body), Ok(value));
    }
}

#[test]
fn shared_bytes_are_checked_like_others() {
    let cases: [(&'static [u8], DecodeError); 4] = [
        (&[], DecodeError::Truncated),
        (&[3, 1, 2], DecodeError::Truncated),
        (&[253, 0, 0, 0, 0, 0, 0, 0, 64], DecodeError::Truncated),
        (&[1, 1, 2], DecodeError::Trailing),
    ];
    for (body, expected) in cases {
        let shared: Result<Bytes, _> = Format::Bincode.decode(Body::Owned(Bytes::from_static(body)));
        assert_eq!(shared, Err(expected.clone()));
        assert_eq!(decode::<Bytes>(Format::Bincode, body), Err(expected));
    }
}

#[test]
fn other_types_decode_from_an_owned_body_too() {
    let value = (Bytes::from_static(b"abc"), Some(1u8));
    let body = Bytes::from(encode(Format::Bincode, &value));
    assert_eq!(Format::Bincode.decode(Body::Owned(body)), Ok(value));
}

#[test]
fn a_large_value_is_split_into_its_length_and_itself() {
    for length in [LARGE_BODY, LARGE_BODY + 1, 65_536] {
        let value = Bytes::from(vec![7; length]);
        let mut out = vec![9];
        let tail = Format::Bincode.encode_split(&value, &mut out).expect("bytes can be encoded");
        let tail = tail.expect("a tail");
        assert_eq!(tail.as_ptr(), value.as_ptr());
        out.extend_from_slice(&tail);
        assert_eq!(out[1..], encode(Format::Bincode, &value));
    }
}

#[test]
fn everything_else_is_not_split() {
    let mut out = Vec::new();
    let small = Bytes::from(vec![7; LARGE_BODY - 1]);
    assert_eq!(Format::Bincode.encode_split(&small, &mut out), Ok(None));
    assert_eq!(out, encode(Format::Bincode, &small));
    out.clear();
    let text = "x".repeat(LARGE_BODY);
    assert_eq!(Format::Bincode.encode_split(&text, &mut out), Ok(None));
    assert_eq!(out, encode(Format::Bincode, &text));
}

#[cfg(feature = "json")]
#[test]
fn json_has_no_shared_bytes() {
    let value = Bytes::from(vec![7; LARGE_BODY]);
    let mut out = Vec::new();
    assert_eq!(Format::Json.encode_split(&value, &mut out), Ok(None));
    assert_eq!(Format::Json.decode(Body::Owned(Bytes::from(out))), Ok(value));
}
