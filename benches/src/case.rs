//! The loads that are put on every subject.

use std::str::FromStr;

use anyhow::{Error, anyhow};

/// Bytes of a large body.
pub const MEBIBYTE: usize = 1 << 20;

/// Bytes of one that is neither small nor large.
pub const PAGE: usize = 4096;

/// A load, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// One call at a time: its latency is what counts.
    One,
    /// 64 calls in flight on one connection.
    C64,
    /// 256 calls in flight on one connection.
    C256,
    /// 8 connections with 32 calls in flight each.
    Eight,
    /// Bodies of 4 KiB both ways, 32 in flight on one connection.
    Page,
    /// Bodies of 1 MiB both ways, 4 in flight on one connection.
    Mebibyte,
    /// 256 calls in flight on one connection, of a handler that waits 1 ms.
    Wait,
    /// One stream of the server's, of items of 64 bytes.
    SmallItems,
    /// One stream of the server's, of items of eight numbers of 8 bytes.
    Quotes,
    /// One stream of the server's, of items of 64 KiB.
    LargeItems,
    /// One call at a time, beside a stream of items of 64 KiB on the same connection.
    Beside,
    /// One stream both ways, of items of 64 bytes that come back.
    Bidi,
    /// Connections that are opened for one call each, 1,000 a second.
    Connect,
}

/// What goes in and out with each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Two numbers in, their product out.
    Small,
    /// So many bytes in, the same out.
    Echo(usize),
    /// Nothing in, nothing out, after a millisecond.
    Wait,
    /// A stream of items of so many bytes; each counts as a call.
    Items(usize),
    /// A stream of items of eight floats.
    Quotes,
    /// As [`Small`](Self::Small), beside a stream of items of so many bytes that nobody counts.
    Beside(usize),
    /// A stream of items of so many bytes and their echoes; each echo counts as a call.
    Bidi(usize),
}

/// What a [`Case`] consists of.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// Calls on connections that stay open.
    Calls(Calls),
    /// So many tasks, each of which opens a connection, makes one small call on it and closes it, over and over.
    /// Each connection counts as a call.
    Connect(usize),
    /// So many connections, which are kept open with one small call behind them.
    Hold(usize),
}

/// Calls that are made over and over.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Connections open at once.
    pub connections: usize,
    /// Calls in flight on each of them.
    pub in_flight: usize,
    /// What they carry.
    pub body: Body,
    /// Whether each call is timed: two clock reads, too dear for the other cases.
    pub timed: bool,
}

impl Case {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::One,
        Self::C64,
        Self::C256,
        Self::Eight,
        Self::Page,
        Self::Mebibyte,
        Self::Wait,
        Self::SmallItems,
        Self::Quotes,
        Self::LargeItems,
        Self::Beside,
        Self::Bidi,
        Self::Connect,
    ];

    /// Those that every subject has, and that take nothing but calls.
    pub const UNARY: [Self; 6] = [Self::One, Self::C64, Self::C256, Self::Eight, Self::Page, Self::Mebibyte];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::C64 => "c64",
            Self::C256 => "c256",
            Self::Eight => "8x32",
            Self::Page => "4kib",
            Self::Mebibyte => "1mib",
            Self::Wait => "wait",
            Self::SmallItems => "items64",
            Self::Quotes => "quotes",
            Self::LargeItems => "items64k",
            Self::Beside => "beside",
            Self::Bidi => "bidi64",
            Self::Connect => "connect",
        }
    }

    /// The name in the table.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::One => "one at a time",
            Self::C64 => "64 in flight",
            Self::C256 => "256 in flight",
            Self::Eight => "8 connections x 32",
            Self::Page => "4 KiB bodies, 32 in flight",
            Self::Mebibyte => "1 MiB bodies, 4 in flight",
            Self::Wait => "a handler that waits 1 ms, 256 in flight",
            Self::SmallItems => "a stream of 64-byte blobs",
            Self::Quotes => "a stream of items of 8 floats",
            Self::LargeItems => "a stream of 64 KiB items",
            Self::Beside => "one at a time, beside a stream",
            Self::Bidi => "a stream of 64-byte blobs and their echoes",
            Self::Connect => "connections with one call each, 1,000 a second",
        }
    }

    /// What it consists of.
    #[must_use]
    pub fn load(self) -> Load {
        let calls = Calls { connections: 1, in_flight: 1, body: Body::Small, timed: false };
        Load::Calls(match self {
            Self::One => Calls { timed: true, ..calls },
            Self::C64 => Calls { in_flight: 64, ..calls },
            Self::C256 => Calls { in_flight: 256, ..calls },
            Self::Eight => Calls { connections: 8, in_flight: 32, ..calls },
            Self::Page => Calls { in_flight: 32, body: Body::Echo(PAGE), ..calls },
            Self::Mebibyte => Calls { in_flight: 4, body: Body::Echo(MEBIBYTE), ..calls },
            Self::Wait => Calls { in_flight: 256, body: Body::Wait, ..calls },
            Self::SmallItems => Calls { body: Body::Items(64), ..calls },
            Self::Quotes => Calls { body: Body::Quotes, ..calls },
            Self::LargeItems => Calls { body: Body::Items(64 * 1024), ..calls },
            Self::Beside => Calls { timed: true, body: Body::Beside(64 * 1024), ..calls },
            Self::Bidi => Calls { body: Body::Bidi(64), ..calls },
            Self::Connect => return Load::Connect(8),
        })
    }
}

impl FromStr for Case {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|case| case.name() == name);
        known.ok_or_else(|| anyhow!("no case {name}; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
