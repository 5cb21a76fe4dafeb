use std::fmt;

use serde::de::{Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::Guard;
use super::access::Elements;

/// Hands a visitor what the codec found, and guards what holds further values.
///
/// `FIELDS`: the values in it are the fields of a type, which bounds their number. Otherwise they are
/// elements, as many as the body claims, and have to be paid.
pub(super) struct Guarding<'a, V, const FIELDS: bool> {
    pub(super) visitor: V,
    pub(super) guard: &'a mut Guard,
}

impl<V, const FIELDS: bool> Guarding<'_, V, FIELDS> {
    /// How many values may be asked for without paying again. What is claimed is paid at once, so a claim
    /// beyond the budget costs nothing, and nested claims cannot add up to more than the budget.
    #[inline]
    fn prepay<E: Error>(&mut self, claimed: Option<usize>) -> Result<usize, E> {
        if FIELDS {
            return Ok(usize::MAX);
        }
        let claimed = claimed.unwrap_or(0);
        self.guard.pay(claimed)?;
        // The question that is answered with the end costs nothing.
        Ok(claimed.saturating_add(1))
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

impl<'de, V: Visitor<'de>, const FIELDS: bool> Visitor<'de> for Guarding<'_, V, FIELDS> {
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
        self.visitor.visit_some(self.guard.wrap(inner))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(self.guard.wrap(inner))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(mut self, inner: A) -> Result<V::Value, A::Error> {
        let prepaid = self.prepay(inner.size_hint())?;
        self.visitor.visit_seq(Elements { inner, guard: self.guard, prepaid })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(mut self, inner: A) -> Result<V::Value, A::Error> {
        let prepaid = self.prepay(inner.size_hint())?;
        self.visitor.visit_map(Elements { inner, guard: self.guard, prepaid })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(self.guard.wrap(inner))
    }
}
