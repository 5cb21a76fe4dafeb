use std::fmt;

use serde::de::{Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::access::Elements;
use super::{Guard, Guarded};

/// Who says how many values a value holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Contents {
    /// The body, so they are elements and have to be paid.
    Claimed,
    /// The type: they are fields.
    Typed,
}

/// Hands a visitor what the codec found, and guards what may hold further values. This is where levels are
/// counted, because every recursion of a decode passes through here.
pub(super) struct Guarding<'a, V> {
    pub(super) visitor: V,
    pub(super) guard: &'a mut Guard,
    pub(super) contents: Contents,
}

impl Contents {
    /// How many values are paid before the first one is read. What is claimed is paid at once, so a claim
    /// beyond the budget costs nothing, and nested claims cannot add up to more than the budget.
    #[inline]
    fn prepay<E: Error>(self, claimed: Option<usize>, guard: &mut Guard) -> Result<usize, E> {
        match self {
            Contents::Typed => Ok(usize::MAX),
            Contents::Claimed => {
                let claimed = claimed.unwrap_or(0);
                guard.pay(claimed)?;
                Ok(claimed)
            }
        }
    }
}

macro_rules! pass {
    ($($method:ident: $type:ty,)*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guarding<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    pass! {
        visit_bool: bool,
        visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128,
        visit_f32: f32, visit_f64: f64,
        visit_char: char,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String,
        visit_bytes: &[u8], visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.guard.nest(|guard| self.visitor.visit_some(guard.wrap(inner)))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.guard.nest(|guard| self.visitor.visit_newtype_struct(guard.wrap(inner)))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let prepaid = self.contents.prepay(inner.size_hint(), self.guard)?;
        self.guard.nest(|guard| self.visitor.visit_seq(Elements { inner, guard, prepaid }))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let prepaid = self.contents.prepay(inner.size_hint(), self.guard)?;
        self.guard.nest(|guard| self.visitor.visit_map(Elements { inner, guard, prepaid }))
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.guard.nest(|guard| self.visitor.visit_enum(Guarded { inner, guard }))
    }
}
