//! What a type sees of the guard: nothing, but smaller hints.

use std::fmt;

use serde::de::value::{self, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::SPARE_ELEMENTS;
use super::super::guard::Guard;
use super::{DecodeError, Format, decode};

/// The first size hint that a sequence or a map gives.
#[derive(Debug, PartialEq)]
struct Hint(Option<usize>);

impl<'de> Deserialize<'de> for Hint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(HintVisitor)
    }
}

#[derive(Debug, PartialEq)]
struct MapHint(Hint);

impl<'de> Deserialize<'de> for MapHint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HintVisitor).map(MapHint)
    }
}

struct HintVisitor;

impl<'de> Visitor<'de> for HintVisitor {
    type Value = Hint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence or a map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Hint, A::Error> {
        let hint = seq.size_hint();
        while seq.next_element::<()>()?.is_some() {}
        Ok(Hint(hint))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hint, A::Error> {
        let hint = map.size_hint();
        while map.next_entry::<(), ()>()?.is_some() {}
        Ok(Hint(hint))
    }
}

#[test]
fn hints_are_clamped_to_the_length_of_the_body() {
    assert_eq!(decode(Format::Bincode, &[2]), Ok(Hint(Some(1))));
    assert_eq!(decode(Format::Bincode, &[251, 0, 255]), Ok(Hint(Some(3))));
    assert_eq!(decode(Format::Bincode, &[251, 0, 255]), Ok(MapHint(Hint(Some(3)))));
    assert_eq!(decode(Format::Bincode, &[0]), Ok(Hint(Some(0))));
    assert_eq!(decode(Format::Bincode, &[1, 2]), Ok((true, Hint(Some(2)))));
}

/// As many units as a format hands over that does not say how many will come.
fn unannounced(count: usize, guard: &mut Guard) -> Result<Vec<()>, value::Error> {
    let units = std::iter::repeat_n((), count).filter(|()| true);
    Vec::deserialize(guard.wrap(SeqDeserializer::new(units)))
}

#[test]
fn unannounced_elements_are_counted_as_they_come() {
    let mut guard = Guard::new(10);
    let limit = 10 + SPARE_ELEMENTS;
    assert_eq!(unannounced(SPARE_ELEMENTS, &mut guard).map(|units| units.len()), Ok(SPARE_ELEMENTS));
    assert_eq!(unannounced(10, &mut guard).map(|units| units.len()), Ok(10));
    assert_eq!(guard.verdict(), None);
    assert!(unannounced(usize::MAX, &mut guard).is_err());
    assert_eq!(guard.verdict(), Some(DecodeError::Elements { limit }));
}

/// Whether the format said that it is for humans.
#[derive(Debug, PartialEq)]
struct Asked {
    human_readable: bool,
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let human_readable = deserializer.is_human_readable();
        <()>::deserialize(deserializer)?;
        Ok(Asked { human_readable })
    }
}

#[test]
fn formats_say_whether_they_are_for_humans() {
    assert_eq!(decode(Format::Bincode, &[]), Ok(Asked { human_readable: false }));
    #[cfg(feature = "json")]
    assert_eq!(decode(Format::Json, b"null"), Ok(Asked { human_readable: true }));
    #[cfg(feature = "json")]
    assert_eq!(decode(Format::Json, b"[null]"), Ok((Asked { human_readable: true },)));
}

#[test]
fn text_and_bytes_can_be_borrowed() {
    let body = *b"\x03abc";
    assert_eq!(Format::Bincode.decode_slice::<&str>(&body), Ok("abc"));
    assert_eq!(Format::Bincode.decode_slice::<&[u8]>(&body), Ok(&b"abc"[..]));
    assert_eq!(Format::Bincode.decode_slice::<(Option<&str>,)>(b"\x01\x03abc"), Ok((Some("abc"),)));
    #[cfg(feature = "json")]
    assert_eq!(Format::Json.decode_slice::<Option<&str>>(br#""abc""#), Ok(Some("abc")));
}

#[cfg(feature = "json")]
mod json {
    use serde::Deserialize;

    use super::super::{Format, decode};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Many(Vec<Untagged>),
        Named { name: String },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        A { value: Option<u8> },
        B,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, u8>,
    }

    #[test]
    fn types_that_ask_what_comes_next() {
        let many = Untagged::Many(vec![Untagged::Number(1), Untagged::Named { name: "x".to_owned() }]);
        assert_eq!(decode(Format::Json, br#"[1,{"name":"x"}]"#), Ok(many));
        assert_eq!(decode(Format::Json, br#"{"value":3,"kind":"A"}"#), Ok(Tagged::A { value: Some(3) }));
        assert_eq!(decode(Format::Json, br#"{"kind":"B"}"#), Ok(Tagged::B));
        let flat = Flat { a: 1, rest: [("b".to_owned(), 2)].into() };
        assert_eq!(decode(Format::Json, br#"{"b":2,"a":1}"#), Ok(flat));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct One {
            a: u8,
        }
        let body = br#"{"x":[[[{"y":null}]]],"a":1,"z":"text"}"#;
        assert_eq!(decode(Format::Json, body), Ok(One { a: 1 }));
    }
}
