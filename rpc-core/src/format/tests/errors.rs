use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::{DecodeError, EncodeError, Format, decode};

#[test]
fn errors_are_small() {
    assert!(size_of::<DecodeError>() <= 24, "{}", size_of::<DecodeError>());
    assert!(size_of::<EncodeError>() <= 16, "{}", size_of::<EncodeError>());
}

struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[test]
fn a_failed_encode_leaves_the_output_as_it_was() {
    for format in Format::ALL {
        let mut out = vec![1, 2, 3];
        let error = format.encode(&("some text", Unencodable), &mut out).expect_err("it refuses");
        assert!(error.to_string().contains("not today"), "{error}");
        assert_eq!(out, [1, 2, 3]);
        format.encode_split(&("some text", Unencodable), &mut out).expect_err("it refuses");
        assert_eq!(out, [1, 2, 3]);
    }
}

#[test]
fn bincode_needs_lengths() {
    #[derive(Serialize)]
    struct Open {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let value = Open { a: 1, rest: BTreeMap::new() };
    let mut out = Vec::new();
    assert_eq!(Format::Bincode.encode(&value, &mut out), Err(EncodeError::UnknownLength));
}

#[test]
fn a_body_is_exactly_one_value() {
    assert_eq!(decode::<(u8, u8)>(Format::Bincode, &[1]), Err(DecodeError::Truncated));
    assert_eq!(decode::<(u8, u8)>(Format::Bincode, &[1, 2]), Ok((1, 2)));
    assert_eq!(decode::<(u8, u8)>(Format::Bincode, &[1, 2, 3]), Err(DecodeError::Trailing));
    assert_eq!(decode::<()>(Format::Bincode, &[]), Ok(()));
    assert_eq!(decode::<()>(Format::Bincode, &[0]), Err(DecodeError::Trailing));
}

#[cfg(feature = "json")]
#[test]
fn a_json_body_is_exactly_one_value() {
    assert_eq!(decode::<(u8, u8)>(Format::Json, b"[1,"), Err(DecodeError::Truncated));
    assert_eq!(decode::<(u8, u8)>(Format::Json, b" [1, 2] \r\n\t"), Ok((1, 2)));
    assert_eq!(decode::<(u8, u8)>(Format::Json, b"[1,2]]"), Err(DecodeError::Trailing));
}

#[test]
fn a_body_of_another_type_is_invalid() {
    for body in [&[2][..], &[255]] {
        let error = decode::<bool>(Format::Bincode, body).expect_err("not a bool");
        assert!(matches!(error, DecodeError::Invalid(_)), "{error}");
    }
    let error = decode::<String>(Format::Bincode, &[1, 0xff]).expect_err("not a text");
    assert!(matches!(error, DecodeError::Invalid(_)), "{error}");
}

#[test]
fn a_type_that_asks_the_format_what_comes_next_is_not_for_bincode() {
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        #[allow(dead_code)]
        Number(u8),
    }
    let error = decode::<Untagged>(Format::Bincode, &[1]).expect_err("bincode has no types in it");
    assert!(matches!(error, DecodeError::Invalid(_)), "{error}");
}

#[cfg(feature = "json")]
#[test]
fn a_reason_does_not_quote_the_peer_at_length() {
    #[derive(Debug, Deserialize)]
    enum Known {
        One,
    }
    assert!(matches!(decode(Format::Json, br#""One""#), Ok(Known::One)));
    let body = format!("\"{}\"", "é".repeat(100_000));
    let error = decode::<Known>(Format::Json, body.as_bytes()).expect_err("unknown variant");
    assert!(error.to_string().len() < 1024, "{}", error.to_string().len());
}
