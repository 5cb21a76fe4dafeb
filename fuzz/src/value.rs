//! A type that has everything, for bodies.

#![allow(missing_docs, reason = "the fields are only there")]

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Everything that serde knows, in every nesting.
#[derive(Debug, Serialize, Deserialize)]
pub enum Value {
    Unit,
    Bool(bool),
    Small(i8, u8),
    Numbers { a: i16, b: u32, c: i64, d: u64, e: i128, f: u128 },
    Floats(f32, f64),
    Char(char),
    Text(String),
    Raw(Bytes),
    Octets(Vec<u8>),
    Units(Vec<()>),
    Maybe(Option<Box<Value>>),
    Twice(Option<Option<u8>>),
    Many(Vec<Value>),
    Named(BTreeMap<String, Value>),
    Counted(BTreeMap<u16, (u8, Option<bool>)>),
    Record(Box<Record>),
    Wrapped(Wrapper),
    Kinds(Vec<Kind>),
    Array([u16; 4]),
    Result(Result<u8, String>),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub id: u64,
    #[serde(default)]
    pub name: Option<String>,
    pub next: Option<Box<Record>>,
    pub children: Vec<Record>,
    pub unit: (),
    pub marker: Marker,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Marker;

#[derive(Debug, Serialize, Deserialize)]
pub struct Wrapper(pub Box<Value>);

#[derive(Debug, Serialize, Deserialize)]
pub enum Kind {
    A,
    B { x: u8 },
    C(u8, Box<Kind>),
}
