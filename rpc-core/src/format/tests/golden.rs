//! The bytes of the bincode format, written by hand from its specification. They must never change.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Format, decode, encode};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn golden<T>(value: T, expected: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    let body = encode(Format::Bincode, &value);
    assert_eq!(hex(&body), expected.replace(' ', ""), "{value:?}");
    assert_eq!(decode(Format::Bincode, &body), Ok(value));
}

#[test]
fn unsigned_integers() {
    golden(0u8, "00");
    golden(255u8, "ff");
    golden(250u16, "fa");
    golden(251u16, "fb fb00");
    golden(250u64, "fa");
    golden(251u64, "fb fb00");
    golden(65_535u64, "fb ffff");
    golden(65_536u64, "fc 00000100");
    golden(u64::from(u32::MAX), "fc ffffffff");
    golden(1u64 << 32, "fd 0000000001000000");
    golden(u64::MAX, "fd ffffffffffffffff");
    golden(250u128, "fa");
    golden(1u128 << 64, "fe 00000000000000000100000000000000");
    golden(u128::MAX, "fe ffffffffffffffffffffffffffffffff");
}

#[test]
fn signed_integers_are_zigzag() {
    golden(-1i8, "ff");
    golden(0i64, "00");
    golden(-1i64, "01");
    golden(1i64, "02");
    golden(-125i64, "f9");
    golden(125i64, "fa");
    golden(-126i64, "fb fb00");
    golden(-32_768i16, "fb ffff");
    golden(i64::MAX, "fd feffffffffffffff");
    golden(i64::MIN, "fd ffffffffffffffff");
    golden(i128::MIN, "fe ffffffffffffffffffffffffffffffff");
}

#[test]
fn other_scalars() {
    golden(false, "00");
    golden(true, "01");
    golden(1.0f32, "0000803f");
    golden(-2.5f64, "00000000000004c0");
    golden('a', "61");
    golden('é', "c3a9");
    golden('🦀', "f09fa680");
    golden((), "");
}

#[test]
fn strings_and_bytes() {
    golden(String::new(), "00");
    golden("Grüße".to_owned(), "07 4772c3bcc39f65");
    golden("x".repeat(251), &format!("fb fb00 {}", "78".repeat(251)));
    golden(Bytes::from_static(&[1, 2, 255]), "03 0102ff");
    golden(vec![1u8, 2, 255], "03 0102ff");
}

#[test]
fn compound_values() {
    golden(None::<u16>, "00");
    golden(Some(300u16), "01 fb2c01");
    golden(Some(Some(())), "01 01");
    golden(vec![1u32, 2, 300], "03 01 02 fb2c01");
    golden([1u16, 2], "01 02");
    golden((1u8, -1i32, "a".to_owned()), "01 01 01 61");
    golden(BTreeMap::from([(1u8, "a".to_owned()), (2, "b".to_owned())]), "02 01 01 61 02 01 62");
    golden(Ok::<u8, String>(7), "00 07");
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Args {
    a: i64,
    b: Option<bool>,
    rest: Vec<Id>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Id(u32);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Marker;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Shape {
    Empty,
    Newtype(u32),
    Tuple(u8, String),
    Struct { id: Id, name: Option<String> },
}

#[test]
fn structs_are_their_fields() {
    golden(Args { a: -7, b: Some(true), rest: vec![Id(1), Id(1000)] }, "0d 01 01 02 01 fbe803");
    golden(Marker, "");
    golden(Id(251), "fb fb00");
}

#[test]
fn variants_are_numbered() {
    golden(Shape::Empty, "00");
    golden(Shape::Newtype(70_000), "01 fc70110100");
    golden(Shape::Tuple(9, "z".to_owned()), "02 09 01 7a");
    golden(Shape::Struct { id: Id(5), name: None }, "03 05 00");
}

#[cfg(feature = "json")]
#[test]
fn json() {
    #[track_caller]
    fn golden<T>(value: T, expected: &str)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
    {
        assert_eq!(String::from_utf8(encode(Format::Json, &value)).as_deref(), Ok(expected));
        assert_eq!(decode(Format::Json, expected.as_bytes()), Ok(value));
    }
    golden(Args { a: -7, b: None, rest: vec![Id(1)] }, r#"{"a":-7,"b":null,"rest":[1]}"#);
    golden(Shape::Empty, r#""Empty""#);
    golden(Shape::Tuple(9, "z".to_owned()), r#"{"Tuple":[9,"z"]}"#);
    golden(Bytes::from_static(&[1, 255]), "[1,255]");
    golden(BTreeMap::from([(1u8, Marker)]), r#"{"1":null}"#);
    // The last digit is lost by parsers that round in a hurry.
    golden(5.4630387717207806e-58f64, "5.4630387717207806e-58");
    golden(u128::MAX, "340282366920938463463374607431768211455");
}
