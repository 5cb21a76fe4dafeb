//! What the attributes say: `#[service(..)]` and `#[rpc(..)]`.

use proc_macro2::{Ident, TokenStream};
use quote::format_ident;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, LitStr, Result};

/// The `name` of `#[service(name = "..")]`.
pub(crate) fn of_service(options: TokenStream) -> Result<Option<LitStr>> {
    let mut name = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("name") {
            return set_name(&mut name, &meta);
        }
        Err(meta.error("unknown option: `#[service(..)]` knows `name = \"..\"`"))
    });
    parser.parse2(options)?;
    Ok(name)
}

/// What `#[rpc(..)]` says.
#[derive(Default)]
pub(crate) struct MethodOptions {
    pub(crate) name: Option<LitStr>,
    /// The variant of `Execution`.
    pub(crate) execution: Option<Ident>,
    /// Where it says so.
    pub(crate) idempotent: Option<Ident>,
}

impl MethodOptions {
    /// Takes every `#[rpc(..)]` out of the attributes: no compiler knows it.
    pub(crate) fn take(attrs: &mut Vec<Attribute>) -> Result<Self> {
        let mut options = Self::default();
        for attr in attrs.extract_if(.., |attr| attr.path().is_ident("rpc")) {
            attr.parse_nested_meta(|meta| options.set(&meta))?;
        }
        Ok(options)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let execution = match meta.path.get_ident().map(Ident::to_string).as_deref() {
            Some("name") => return set_name(&mut self.name, meta),
            Some("idempotent") => {
                self.idempotent = meta.path.get_ident().cloned();
                return Ok(());
            }
            Some("spawn") => format_ident!("Spawn"),
            Some("blocking") => format_ident!("Blocking"),
            _ => {
                let text = "unknown option: `#[rpc(..)]` knows `name = \"..\"`, `spawn`, `blocking` and `idempotent`";
                return Err(meta.error(text));
            }
        };
        if self.execution.replace(execution).is_some() {
            return Err(meta.error("a method runs in one place: write `spawn` or `blocking`, once"));
        }
        Ok(())
    }
}

fn set_name(name: &mut Option<LitStr>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if name.replace(meta.value()?.parse()?).is_some() {
        return Err(meta.error("the name is given already"));
    }
    Ok(())
}
