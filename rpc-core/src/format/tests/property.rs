use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{DecodeError, Format, decode, encode};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rich {
    flag: bool,
    small: (i8, u8, i16, u16),
    wide: (i32, u32, i64, u64),
    huge: (i128, u128),
    real: (f32, f64),
    letter: char,
    text: String,
    blob: Bytes,
    maybe: Option<Box<Rich>>,
    choices: Vec<Choice>,
    names: BTreeMap<String, Vec<u32>>,
    id: Id,
    nothing: (),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Id(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(Id),
    Two(i64, String),
    Named { left: Option<u8>, right: Vec<Choice> },
}

fn choice() -> impl Strategy<Value = Choice> {
    let leaf = prop_oneof![
        Just(Choice::Nothing),
        any::<u64>().prop_map(|id| Choice::One(Id(id))),
        any::<(i64, String)>().prop_map(|(number, text)| Choice::Two(number, text)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        (any::<Option<u8>>(), vec(inner, 0..4)).prop_map(|(left, right)| Choice::Named { left, right })
    })
}

fn flat() -> impl Strategy<Value = Rich> {
    // JSON has neither NaN nor the infinities.
    let real = (any::<u32>().prop_map(f32::from_bits), any::<u64>().prop_map(f64::from_bits));
    let real = real.prop_filter("finite", |(single, double)| single.is_finite() && double.is_finite());
    let scalars = (any::<bool>(), any::<(i8, u8, i16, u16)>(), any::<(i32, u32, i64, u64)>());
    let wide = (any::<(i128, u128)>(), real, any::<char>());
    let long = (any::<String>(), vec(any::<u8>(), 0..300), vec(choice(), 0..4));
    let names = btree_map(any::<String>(), vec(any::<u32>(), 0..4), 0..4);
    (scalars, wide, long, names, any::<u64>()).prop_map(
        |((flag, small, wide), (huge, real, letter), (text, blob, choices), names, id)| Rich {
            flag,
            small,
            wide,
            huge,
            real,
            letter,
            text,
            blob: Bytes::from(blob),
            maybe: None,
            choices,
            names,
            id: Id(id),
            nothing: (),
        },
    )
}

fn rich() -> impl Strategy<Value = Rich> {
    (flat(), option::of(flat())).prop_map(|(outer, inner)| Rich { maybe: inner.map(Box::new), ..outer })
}

proptest! {
    #[test]
    fn values_come_back(value in rich()) {
        for format in Format::ALL {
            let body = encode(*format, &value);
            prop_assert_eq!(&decode::<Rich>(*format, &body), &Ok(value.clone()));
        }
    }

    #[test]
    fn a_part_of_a_body_is_an_error(value in rich(), cut in any::<prop::sample::Index>()) {
        for format in Format::ALL {
            let body = encode(*format, &value);
            let cut = cut.index(body.len());
            prop_assert!(decode::<Rich>(*format, &body[..cut]).is_err());
        }
    }

    #[test]
    fn a_byte_more_is_an_error(value in rich(), more in any::<u8>()) {
        for format in Format::ALL {
            let mut body = encode(*format, &value);
            body.push(more);
            if *format != Format::Bincode && more.is_ascii_whitespace() && more != 0x0c {
                prop_assert_eq!(&decode::<Rich>(*format, &body), &Ok(value.clone()));
            } else {
                prop_assert_eq!(&decode::<Rich>(*format, &body), &Err(DecodeError::Trailing));
            }
        }
    }

    #[test]
    fn no_body_panics(body in vec(any::<u8>(), 0..600)) {
        for format in Format::ALL {
            let _ = decode::<Rich>(*format, &body);
            let _ = decode::<Vec<Choice>>(*format, &body);
        }
    }

    #[test]
    fn no_damaged_body_panics(
        value in rich(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for format in Format::ALL {
            let mut body = encode(*format, &value);
            for (at, byte) in &damage {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            let _ = decode::<Rich>(*format, &body);
        }
    }
}
