//! What types may stand in a contract.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Error, GenericArgument, PathArguments, Result, ReturnType, Type};

/// Type parameters of the generated client and server.
const PARAMETERS: [&str; 2] = ["C", "T"];

const BORROWS: &str = "what crosses the wire owns its data: \
                       write `String` for `&str`, `Vec<T>` for `&[T]`, `T` for `&T`";

/// The type without the invisible groups that macros put around it, and without parentheses.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

/// The `T` of `Result<T, _>`.
pub(crate) fn reply(output: &ReturnType, signature: &impl ToTokens) -> Result<Type> {
    let ReturnType::Type(_, ty) = output else {
        let text = "a call can fail, so a method returns a `Result`: write `-> Result<(), Status>`";
        return Err(Error::new_spanned(signature, text));
    };
    let Type::Path(path) = bare(ty) else { return Err(no_result(ty)) };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Result") else {
        return Err(no_result(ty));
    };
    let arguments = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().collect(),
        _ => Vec::new(),
    };
    let [GenericArgument::Type(reply), GenericArgument::Type(_)] = arguments[..] else {
        let text = "the macro cannot see what an alias stands for: write both types, `Result<T, Status>`";
        return Err(Error::new_spanned(ty, text));
    };
    owned(reply)?;
    Ok(reply.clone())
}

fn no_result(ty: &Type) -> Error {
    let text = format!("a call can fail: write `Result<{}, Status>`", text_of(ty));
    Error::new_spanned(ty, text)
}

/// Refuses types that the generated client and server cannot name, or serde cannot decode.
pub(crate) fn owned(ty: &Type) -> Result<()> {
    if let Type::Reference(reference) = bare(ty) {
        let instead = match bare(&reference.elem) {
            Type::Path(path) if path.path.is_ident("str") => quote!(String),
            Type::Slice(slice) => {
                let elem = &slice.elem;
                quote!(Vec<#elem>)
            }
            elem => elem.to_token_stream(),
        };
        let text = format!(
            "what crosses the wire owns its data: write `{}` instead of a reference",
            text_of(&instead)
        );
        return Err(Error::new_spanned(ty, text));
    }
    check(ty.to_token_stream())
}

/// Looks at the tokens, because what is wrong with a type is wrong at any depth of it.
fn check(tokens: TokenStream) -> Result<()> {
    let mut before = ' ';
    for token in tokens {
        let refuse = |text: &str| Err(Error::new(token.span(), text));
        match &token {
            TokenTree::Group(group) => check(group.stream())?,
            TokenTree::Punct(punct) if punct.as_char() == '&' => return refuse(BORROWS),
            TokenTree::Ident(ident) => match ident.to_string().as_str() {
                "static" => {}
                _ if before == '\'' => return refuse(BORROWS),
                "impl" | "dyn" => {
                    return refuse("both sides have to know what crosses the wire: name a type, not a trait");
                }
                "Self" => return refuse("the client has another `Self`: name the type"),
                name if before != ':' && PARAMETERS.contains(&name) => {
                    return refuse(&format!(
                        "`{name}` is a type parameter of the generated code: write `self::{name}`"
                    ));
                }
                _ => {}
            },
            _ => {}
        }
        before = if let TokenTree::Punct(punct) = &token { punct.as_char() } else { ' ' };
    }
    Ok(())
}

/// A type as one would write it; tokens are printed with spaces between all of them.
fn text_of(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    [(" :: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ",")]
        .iter()
        .fold(text, |text, (spaced, tight)| text.replace(spaced, tight))
}
