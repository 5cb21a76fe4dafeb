//! Names on the wire.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Error, LitStr, Result};

/// As in rpc-core's `message::MAX_NAME`.
const MAX: usize = 128;

/// A name on the wire, and the place in the source that it comes from.
pub(crate) struct WireName {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl WireName {
    pub(crate) fn service(given: Option<&LitStr>, item: &Ident) -> Result<Self> {
        let name =
            Self::given(given).unwrap_or_else(|| Self { text: item.unraw().to_string(), span: item.span() });
        name.check("service(name = \"..\")")
    }

    pub(crate) fn method(given: Option<&LitStr>, method: &Ident) -> Result<Self> {
        let name = Self::given(given)
            .unwrap_or_else(|| Self { text: camel_case(&method.unraw().to_string()), span: method.span() })
            .check("rpc(name = \"..\")")?;
        if name.text.contains('.') {
            let text =
                "the name of a method has no dot: what is before the last dot of a full name is the service";
            return Err(Error::new(name.span, text));
        }
        Ok(name)
    }

    /// `Service.Method`, the name in full.
    pub(crate) fn of(&self, service: &WireName) -> Result<String> {
        let full = format!("{}.{}", service.text, self.text);
        if full.len() > MAX {
            let text = format!(
                "`{full}` has {} bytes and a name on the wire {MAX} at most: shorten it with `#[rpc(name = \"..\")]`",
                full.len()
            );
            return Err(Error::new(self.span, text));
        }
        Ok(full)
    }

    fn given(name: Option<&LitStr>) -> Option<Self> {
        name.map(|name| Self { text: name.value(), span: name.span() })
    }

    fn check(self, option: &str) -> Result<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
        let fault = if self.text.is_empty() {
            "the name on the wire would be empty".to_owned()
        } else if !self.text.bytes().all(known) {
            let shown = self.text.escape_debug();
            format!("`{shown}` is no name on the wire, which is made of `A-Z a-z 0-9 _ . / -`")
        } else {
            return Ok(self);
        };
        Err(Error::new(self.span, format!("{fault}: give one with `#[{option}]`")))
    }
}

fn camel_case(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::camel_case;

    #[test]
    fn words_are_joined_and_begin_with_a_capital() {
        let names = ["ping", "divide_all", "as_i64", "_private", "a__b", "toJSON", "__"].map(camel_case);
        assert_eq!(names, ["Ping", "DivideAll", "AsI64", "Private", "AB", "ToJSON", ""]);
    }
}
