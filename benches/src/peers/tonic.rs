//! tonic: gRPC with protobuf over HTTP/2, with TLS or without. What its code generator would write from a
//! `.proto` is written by hand here, so that no protoc is needed.

mod client;
mod server;
#[cfg(feature = "tls")]
mod tls;

use bytes::Bytes;

use crate::contract::Quote;

pub use client::{connect, endpoint};
pub use server::serve;
#[cfg(feature = "tls")]
pub use tls::{listen_tls, trusting};

const ECHO: &str = "/arith.Arith/Echo";
const EXCHANGE: &str = "/arith.Arith/Exchange";
const MULTIPLY: &str = "/arith.Arith/Multiply";
const QUOTES: &str = "/arith.Arith/Quotes";
const REPEAT: &str = "/arith.Arith/Repeat";
const WAIT: &str = "/arith.Arith/Wait";

/// [`Args`], in protobuf. Fixed-size numbers would be cheaper to encode, but nobody writes them.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Factors {
    #[prost(int64, tag = "1")]
    a: i64,
    #[prost(int64, tag = "2")]
    b: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Product {
    #[prost(int64, tag = "1")]
    product: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Size {
    #[prost(uint32, tag = "1")]
    size: u32,
}

/// Eight floats, each a field, as one would write it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Eight {
    #[prost(double, tag = "1")]
    a: f64,
    #[prost(double, tag = "2")]
    b: f64,
    #[prost(double, tag = "3")]
    c: f64,
    #[prost(double, tag = "4")]
    d: f64,
    #[prost(double, tag = "5")]
    e: f64,
    #[prost(double, tag = "6")]
    f: f64,
    #[prost(double, tag = "7")]
    g: f64,
    #[prost(double, tag = "8")]
    h: f64,
}

impl From<Quote> for Eight {
    fn from(Quote([a, b, c, d, e, f, g, h]): Quote) -> Self {
        Self { a, b, c, d, e, f, g, h }
    }
}

/// Its bytes are not copied when it is decoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Item {
    #[prost(bytes = "bytes", tag = "1")]
    item: Bytes,
}
