//! What stands between a body format and a type while a peer's bytes are decoded.
//!
//! The codecs believe what a body says: a vector of 2^62 units keeps them busy for centuries, and a recursive
//! type nested as deep as the body likes overflows the stack, which aborts the process. The guard is a serde
//! [`Deserializer`] around the codec's own, so one guard holds for every format. It wraps whatever can hold
//! further values and lets scalars and strings through: a codec that reads from a slice bounds these itself.
//!
//! It does not bound what a type adds on its own: a `Vec<Option<[u64; 32]>>` takes 264 bytes of memory for
//! each byte of the body.

mod access;
mod visitor;

use serde::de::{Deserializer, Error, Visitor};

use super::{DecodeError, MAX_DEPTH, SPARE_ELEMENTS};
use visitor::Guarding;

const FIELDS: bool = true;
const ELEMENTS: bool = false;

/// What one body has left of its limits.
#[derive(Debug)]
pub(super) struct Guard {
    length: usize,
    depth: usize,
    elements: usize,
    exceeded: Option<Limit>,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    Depth,
    Elements,
}

impl Guard {
    #[inline]
    pub(super) fn new(length: usize) -> Self {
        let elements = length.saturating_add(SPARE_ELEMENTS);
        Self { length, depth: MAX_DEPTH, elements, exceeded: None }
    }

    #[inline]
    pub(super) fn wrap<T>(&mut self, inner: T) -> Guarded<'_, T> {
        Guarded { inner, guard: self }
    }

    #[inline]
    fn visitor<V, const FIELDS: bool>(&mut self, visitor: V) -> Guarding<'_, V, FIELDS> {
        Guarding { visitor, guard: self }
    }

    /// The limit that the body broke. To be asked even after a success, because a type may hide the error of
    /// a part of it.
    #[inline]
    pub(super) fn verdict(&self) -> Option<DecodeError> {
        self.exceeded.map(|limit| match limit {
            Limit::Depth => DecodeError::Depth { limit: MAX_DEPTH },
            Limit::Elements => DecodeError::Elements { limit: self.length.saturating_add(SPARE_ELEMENTS) },
        })
    }

    /// Every recursion of a decode passes through here. Outside of the codec's method, because inside it would
    /// keep that from being inlined, which costs three times the time for a vector of small structs.
    #[inline]
    fn nest<T, E: Error>(&mut self, visit: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        if self.depth == 0 {
            return Err(self.exceed(Limit::Depth));
        }
        self.depth -= 1;
        let result = visit(self);
        self.depth += 1;
        result
    }

    #[inline]
    fn pay<E: Error>(&mut self, elements: usize) -> Result<(), E> {
        match self.elements.checked_sub(elements) {
            Some(left) => {
                self.elements = left;
                Ok(())
            }
            None => Err(self.exceed(Limit::Elements)),
        }
    }

    #[cold]
    #[inline(never)]
    fn exceed<E: Error>(&mut self, limit: Limit) -> E {
        self.exceeded = Some(limit);
        // Only the verdict is seen: the codecs' errors can carry no more than a text.
        E::custom("limit exceeded")
    }
}

/// A `T` of serde's, be it a deserializer, a seed or an enum, with the guard around it.
pub(super) struct Guarded<'a, T> {
    inner: T,
    guard: &'a mut Guard,
}

macro_rules! pass {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

macro_rules! guard {
    ($contents:ident: $($method:ident($($name:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.guard.nest(|guard| self.inner.$method($($name,)* guard.visitor::<_, $contents>(visitor)))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guarded<'_, D> {
    type Error = D::Error;

    pass! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_identifier
        deserialize_unit
    }

    // Also what holds no sequence in these formats, where a codec may still answer with one: JSON has bytes
    // as arrays.
    guard! { ELEMENTS:
        deserialize_any()
        deserialize_ignored_any()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_option()
        deserialize_seq()
        deserialize_map()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    guard! { FIELDS:
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}
