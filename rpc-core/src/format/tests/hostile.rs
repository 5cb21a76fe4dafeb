//! Bodies that stop, freeze or bloat a process whose decoder believes them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::{MAX_DEPTH, SPARE_ELEMENTS};
use super::{DecodeError, Format, decode, encode, on_a_default_stack};

/// A length of 2^62 and one byte, ten bytes in all.
const HUGE_CLAIM: [u8; 10] = [253, 0, 0, 0, 0, 0, 0, 0, 64, b'x'];

#[track_caller]
fn refused<T: DeserializeOwned + Debug + 'static>(body: &[u8]) -> DecodeError {
    let start = Instant::now();
    let error = decode::<T>(Format::Bincode, body).expect_err("a hostile body");
    // Long enough for a busy machine, and nothing beside the centuries of a spin.
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    error
}

#[test]
fn a_huge_string_is_truncated() {
    assert_eq!(refused::<String>(&HUGE_CLAIM), DecodeError::Truncated);
    assert_eq!(refused::<char>(&[0xf0]), DecodeError::Invalid("char is not valid".into()));
    assert_eq!(refused::<Bytes>(&HUGE_CLAIM), DecodeError::Truncated);
}

#[test]
fn a_huge_collection_has_too_many_elements() {
    let error = DecodeError::Elements { limit: HUGE_CLAIM.len() + SPARE_ELEMENTS };
    assert_eq!(refused::<Vec<()>>(&HUGE_CLAIM), error);
    assert_eq!(refused::<Vec<u8>>(&HUGE_CLAIM), error);
    assert_eq!(refused::<Vec<[u128; 32]>>(&HUGE_CLAIM), error);
    assert_eq!(refused::<HashMap<u64, u64>>(&HUGE_CLAIM), error);
    assert_eq!(refused::<BTreeMap<(), ()>>(&HUGE_CLAIM), error);
}

#[test]
fn a_plausible_claim_is_truncated() {
    assert_eq!(refused::<Vec<u8>>(&[251, 0, 255, 1, 2]), DecodeError::Truncated);
    assert_eq!(refused::<HashMap<u8, u8>>(&[3, 1, 1, 2]), DecodeError::Truncated);
}

#[test]
fn the_spare_elements_are_for_the_whole_body() {
    fn units(count: usize) -> Vec<u8> {
        encode(Format::Bincode, &(count as u64))
    }
    let limit = SPARE_ELEMENTS + units(SPARE_ELEMENTS).len();
    assert_eq!(decode(Format::Bincode, &units(limit)), Ok(vec![(); limit]));
    assert_eq!(refused::<Vec<()>>(&units(limit + 1)), DecodeError::Elements { limit });

    let mut body = encode(Format::Bincode, &2u8);
    body.extend(units(SPARE_ELEMENTS));
    body.extend(units(SPARE_ELEMENTS));
    assert!(matches!(refused::<Vec<Vec<()>>>(&body), DecodeError::Elements { .. }));
}

#[test]
fn fields_are_not_elements() {
    let rows = vec![[true; 10]; 100_000];
    let body = encode(Format::Bincode, &rows);
    assert_eq!(decode(Format::Bincode, &body), Ok(rows));

    let rows = vec![((), (), (), ()); SPARE_ELEMENTS];
    let body = encode(Format::Bincode, &rows);
    assert_eq!(decode(Format::Bincode, &body), Ok(rows));
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

impl Node {
    fn chain(length: usize) -> Self {
        (1..length).fold(Node::default(), |next, _| Node { next: Some(Box::new(next)) })
    }
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
enum Tree {
    Leaf([u64; 16], String, BTreeMap<u64, String>),
    Newtype(Box<Tree>),
    Tuple(u8, Box<Tree>),
    Struct { id: u64, children: Vec<Tree> },
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Nested(Vec<Nested>);

const DEPTH: DecodeError = DecodeError::Depth { limit: MAX_DEPTH };

#[test]
fn a_recursive_body_is_too_deep() {
    on_a_default_stack(|| {
        for levels in [200, 80_000, 1_000_000] {
            assert_eq!(refused::<Node>(&vec![1; levels]), DEPTH);
            assert_eq!(refused::<Nested>(&vec![1; levels]), DEPTH);
            assert_eq!(refused::<Tree>(&vec![1; levels]), DEPTH);
            assert_eq!(refused::<Tree>(&[2, 0].repeat(levels)), DEPTH);
            assert_eq!(refused::<Tree>(&[3, 0, 1].repeat(levels)), DEPTH);
        }
    });
}

#[test]
fn every_level_up_to_the_limit_decodes() {
    // Each node is a struct and an option.
    let deepest = MAX_DEPTH / 2;
    on_a_default_stack(move || {
        for format in Format::ALL {
            let body = encode(*format, &Node::chain(deepest));
            assert!(decode::<Node>(*format, &body).is_ok(), "{format:?}");
            let body = encode(*format, &Node::chain(deepest + 1));
            assert_eq!(decode::<Node>(*format, &body).err(), Some(DEPTH), "{format:?}");
        }
    });
}

#[test]
fn a_type_cannot_hide_a_broken_limit() {
    fn or_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<()>, D::Error> {
        Ok(Vec::deserialize(deserializer).unwrap_or_default())
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Lenient {
        #[serde(deserialize_with = "or_default")]
        units: Vec<()>,
    }
    assert!(matches!(refused::<Lenient>(&HUGE_CLAIM[..9]), DecodeError::Elements { .. }));
}

#[cfg(feature = "json")]
#[test]
fn deep_json_is_an_error() {
    on_a_default_stack(|| {
        for levels in [200, 80_000, 1_000_000] {
            assert_eq!(decode::<Nested>(Format::Json, &vec![b'['; levels]).err(), Some(DEPTH));
            let nodes = br#"{"next":"#.repeat(levels);
            assert_eq!(decode::<Node>(Format::Json, &nodes).err(), Some(DEPTH));
            // These two reach the limit of the codec itself, one level before ours.
            let trees = br#"{"Newtype":"#.repeat(levels);
            assert!(decode::<Tree>(Format::Json, &trees).is_err());
            assert!(decode::<serde_json::Value>(Format::Json, &vec![b'['; levels]).is_err());
            let ignored = [vec![b'['; levels], vec![b']'; levels]].concat();
            assert_eq!(decode::<serde::de::IgnoredAny>(Format::Json, &ignored), Ok(serde::de::IgnoredAny));
        }
    });
}
