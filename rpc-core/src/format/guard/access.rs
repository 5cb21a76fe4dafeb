use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{FIELDS, Guard, Guarded};

/// The values that a sequence or a map holds.
pub(super) struct Elements<'a, A> {
    pub(super) inner: A,
    pub(super) guard: &'a mut Guard,
    pub(super) prepaid: usize,
}

impl<A> Elements<'_, A> {
    #[inline]
    fn pay<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.prepaid.checked_sub(1) {
            Some(left) => {
                self.prepaid = left;
                Ok(())
            }
            None => self.guard.pay(1),
        }
    }

    /// A collection reserves room for what the hint says, so it never exceeds what the body could hold.
    #[inline]
    fn clamp(&self, hint: Option<usize>) -> Option<usize> {
        hint.map(|hint| hint.min(self.guard.length))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.pay()?;
        self.inner.next_element_seed(self.guard.wrap(seed))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.clamp(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.pay()?;
        self.inner.next_key_seed(self.guard.wrap(seed))
    }

    #[inline]
    fn next_value_seed<S>(&mut self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.inner.next_value_seed(self.guard.wrap(seed))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.clamp(self.inner.size_hint())
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guarded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(self.guard.wrap(deserializer))
    }
}

impl<'de, 'a, A: EnumAccess<'de>> EnumAccess<'de> for Guarded<'a, A> {
    type Error = A::Error;
    type Variant = Guarded<'a, A::Variant>;

    #[inline]
    fn variant_seed<S>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let (name, inner) = self.inner.variant_seed(self.guard.wrap(seed))?;
        Ok((name, Guarded { inner, guard: self.guard }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S>(self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.inner.newtype_variant_seed(self.guard.wrap(seed))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, self.guard.visitor::<_, FIELDS>(visitor))
    }

    #[inline]
    fn struct_variant<V>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error>
    where
        V: Visitor<'de>,
    {
        self.inner.struct_variant(fields, self.guard.visitor::<_, FIELDS>(visitor))
    }
}
