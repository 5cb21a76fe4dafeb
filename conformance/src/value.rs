//! The types of the tested service, and how lines for a tested client have them.

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// net/rpc's arguments.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Args {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

/// net/rpc's reply to a division.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Quotient {
    pub(crate) quo: i64,
    pub(crate) rem: i64,
}

/// What a handler is to fail with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
    pub(crate) details: Bytes,
}

/// A type that nests as deep as its body likes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tree(Vec<Tree>);

impl Tree {
    pub(crate) fn depth(&self) -> u64 {
        1 + self.0.iter().map(Tree::depth).max().unwrap_or_default()
    }
}

/// One of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Types {
    byte: u8,
    signed: i8,
    short: u16,
    int: i32,
    long: u64,
    huge: u128,
    truth: bool,
    single: f32,
    double: f64,
    letter: char,
    text: String,
    bytes: Bytes,
    list: Vec<i16>,
    pair: (u8, String),
    none: Option<u8>,
    some: Option<u8>,
    unit: Choice,
    one: Choice,
    named: Choice,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    One(i32),
    Named { a: u8, b: bool },
}

impl Types {
    /// The value that README.md has.
    pub(crate) fn sample() -> Self {
        Self {
            byte: 255,
            signed: -1,
            short: 250,
            int: -126,
            long: 65_536,
            huge: 1 << 64,
            truth: true,
            single: 1.5,
            double: -2.0,
            letter: 'é',
            text: "né".into(),
            bytes: Bytes::from_static(b"\x00\xff"),
            list: vec![0, -1, 1],
            pair: (7, "x".into()),
            none: None,
            some: Some(9),
            unit: Choice::Unit,
            one: Choice::One(-1),
            named: Choice::Named { a: 1, b: true },
        }
    }
}

/// A value of a line.
pub(crate) trait Value: Sized {
    fn parse(text: &str) -> Result<Self>;

    fn show(&self) -> String;
}

impl Value for () {
    fn parse(_: &str) -> Result<Self> {
        Ok(())
    }

    fn show(&self) -> String {
        "-".into()
    }
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl Value for $type {
            fn parse(text: &str) -> Result<Self> {
                text.parse().with_context(|| format!("no number: {text}"))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

number!(i64 u64 u32);

impl<A: Value, B: Value> Value for (A, B) {
    fn parse(text: &str) -> Result<Self> {
        let (a, b) = text.split_once(' ').context("two values")?;
        Ok((A::parse(a)?, B::parse(b)?))
    }

    fn show(&self) -> String {
        format!("{} {}", self.0.show(), self.1.show())
    }
}

impl Value for Args {
    fn parse(text: &str) -> Result<Self> {
        <(i64, i64)>::parse(text).map(|(a, b)| Self { a, b })
    }

    fn show(&self) -> String {
        (self.a, self.b).show()
    }
}

impl Value for Quotient {
    fn parse(text: &str) -> Result<Self> {
        <(i64, i64)>::parse(text).map(|(quo, rem)| Self { quo, rem })
    }

    fn show(&self) -> String {
        (self.quo, self.rem).show()
    }
}

impl Value for Bytes {
    fn parse(text: &str) -> Result<Self> {
        if text == "-" { Ok(Self::new()) } else { Ok(pattern::bytes(text)?.into()) }
    }

    fn show(&self) -> String {
        pattern::show(self)
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self> {
        Ok(text.into())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for Vec<()> {
    fn parse(text: &str) -> Result<Self> {
        Ok(vec![(); text.parse()?])
    }

    fn show(&self) -> String {
        self.len().to_string()
    }
}

impl Value for Tree {
    fn parse(text: &str) -> Result<Self> {
        Ok((1..text.parse()?).fold(Self(Vec::new()), |tree, _: u32| Self(vec![tree])))
    }

    fn show(&self) -> String {
        self.depth().to_string()
    }
}

impl Value for Types {
    fn parse(_: &str) -> Result<Self> {
        Ok(Self::sample())
    }

    fn show(&self) -> String {
        if *self == Self::sample() { "same".into() } else { "other".into() }
    }
}
