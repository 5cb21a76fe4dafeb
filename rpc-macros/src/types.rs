//! What types may stand in a contract.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Error, GenericArgument, PathArguments, Result, ReturnType, Type};

use crate::streams;

/// Type parameters of the generated client and server.
const PARAMETERS: [&str; 2] = ["C", "T"];

const BORROWS: &str = "what crosses the wire owns its data: \
                       write `String` for `&str`, `Vec<T>` for `&[T]`, `T` for `&T`";

const STREAM_INSIDE: &str = "a stream is no part of a value: a method takes one as its last argument, \
                             `Streaming<T>`, and answers with one as \
                             `Result<impl Stream<Item = Result<T, Status>>, Status>`";

/// The type without the invisible groups that macros put around it, and without parentheses.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

/// What a method answers with.
pub(crate) enum Reply {
    /// One value.
    One(Type),
    /// A stream of these.
    Items(Type),
}

/// What a method answers with, by its `Result<.., _>`.
pub(crate) fn reply(output: &ReturnType, signature: &impl ToTokens) -> Result<Reply> {
    let ReturnType::Type(_, ty) = output else {
        let text = "a call can fail, so a method returns a `Result`: write `-> Result<(), Status>`";
        return Err(Error::new_spanned(signature, text));
    };
    let reply = of_result(ty, |reply| format!("a call can fail: write `Result<{reply}, Status>`"))?;
    if let Some(item) = streams::returned(reply)? {
        return Ok(Reply::Items(item));
    }
    owned(reply)?;
    Ok(Reply::One(reply.clone()))
}

/// The `T` of `Result<T, _>`; `otherwise` says what to write in place of another type, by its text.
pub(crate) fn of_result(ty: &Type, otherwise: impl FnOnce(String) -> String) -> Result<&Type> {
    let last = match bare(ty) {
        Type::Path(path) => path.path.segments.last().filter(|last| last.ident == "Result"),
        _ => None,
    };
    let Some(last) = last else { return Err(Error::new_spanned(ty, otherwise(text_of(ty)))) };
    let arguments = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().collect(),
        _ => Vec::new(),
    };
    let [GenericArgument::Type(value), GenericArgument::Type(_)] = arguments[..] else {
        let text = "the macro cannot see what an alias stands for: write both types, `Result<T, Status>`";
        return Err(Error::new_spanned(ty, text));
    };
    Ok(value)
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
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let refuse = |text: &str| Err(Error::new(token.span(), text));
        match &token {
            TokenTree::Group(group) => check(group.stream())?,
            TokenTree::Punct(punct) if punct.as_char() == '&' => return refuse(BORROWS),
            TokenTree::Ident(ident) => match ident.to_string().as_str() {
                "static" => {}
                "Streaming" => return refuse(STREAM_INSIDE),
                _ if before == '\'' => return refuse(BORROWS),
                "impl" | "dyn" if matches!(tokens.peek(), Some(TokenTree::Ident(next)) if next == "Stream") =>
                {
                    return refuse(STREAM_INSIDE);
                }
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
pub(crate) fn text_of(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    [(" :: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ",")]
        .iter()
        .fold(text, |text, (spaced, tight)| text.replace(spaced, tight))
}
