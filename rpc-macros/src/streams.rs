//! Streams in a contract: `Streaming<T>` among the arguments, `impl Stream<Item = Result<T, E>>` in the answer.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, Error, GenericArgument, PathArguments, PathSegment, Result, Type,
    TypeParamBound, parse_quote_spanned,
};

use crate::types::{bare, of_result, owned, text_of};

/// The `T` of `Streaming<T>`; `None`: it is another type.
pub(crate) fn taken(ty: &Type) -> Result<Option<Type>> {
    let (streaming, is_lent) = match bare(ty) {
        Type::Reference(reference) => (segment(&reference.elem, "Streaming"), true),
        ty => (segment(ty, "Streaming"), false),
    };
    let Some(streaming) = streaming else {
        if let Type::ImplTrait(given) = bare(ty)
            && let Some(bound) = given.bounds.iter().find_map(|bound| trait_named(bound, &["Stream"]))
        {
            let text = format!("the items of a call come as one type: write `{}`", taking(item(bound)));
            return Err(Error::new_spanned(ty, text));
        }
        return Ok(None);
    };
    if is_lent {
        let text = format!("the items are the method's own: write `{}` without the `&`", text_of(streaming));
        return Err(Error::new_spanned(ty, text));
    }
    let item = match arguments(streaming)[..] {
        [GenericArgument::Type(item)] => item,
        [GenericArgument::Type(item), GenericArgument::Type(_)] => {
            let text = format!("in a contract the error is a `Status`: write `Streaming<{}>`", text_of(item));
            return Err(Error::new_spanned(ty, text));
        }
        _ => return Err(Error::new_spanned(ty, "say what the items are: write `Streaming<T>`")),
    };
    owned(item)?;
    Ok(Some(item.clone()))
}

/// The `T` of `impl Stream<Item = Result<T, _>>`; `None`: it is another type.
pub(crate) fn returned(ty: &Type) -> Result<Option<Type>> {
    if let Some(named) = ["Streaming", "BoxStream"].iter().find_map(|name| segment(ty, name)) {
        let item = arguments(named).into_iter().find_map(|argument| match argument {
            GenericArgument::Type(item) => Some(item),
            _ => None,
        });
        let text = format!("a method answers with any stream: write `{}`", answering(item));
        return Err(Error::new_spanned(ty, text));
    }
    let Type::ImplTrait(given) = bare(ty) else { return Ok(None) };
    let bound = given.bounds.iter().find_map(|bound| trait_named(bound, &["Stream", "Iterator"]));
    let Some(bound) = bound else { return Ok(None) };
    let item = item(bound);
    if bound.ident == "Iterator" {
        let text = format!("items are sent as they come: write `{}`", answering(item));
        return Err(Error::new_spanned(ty, text));
    }
    let Some(item) = item else {
        let text = format!("say what the items are: write `{}`", answering(None));
        return Err(Error::new_spanned(ty, text));
    };
    let item = of_result(item, |item| {
        format!("a stream ends with its last item or with an error: write `Item = Result<{item}, Status>`")
    })?;
    owned(item)?;
    Ok(Some(item.clone()))
}

/// Adds `Send` to the `impl Stream` in `Result<impl Stream, _>`.
pub(crate) fn with_send(output: &mut Type) {
    match output {
        Type::Group(group) => with_send(&mut group.elem),
        Type::Paren(paren) => with_send(&mut paren.elem),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last_mut() else { return };
            let PathArguments::AngleBracketed(arguments) = &mut last.arguments else { return };
            if let Some(GenericArgument::Type(reply)) = arguments.args.first_mut() {
                with_send(reply);
            }
        }
        Type::ImplTrait(stream)
            if !stream.bounds.iter().any(|bound| trait_named(bound, &["Send"]).is_some()) =>
        {
            // A stream that is not `Send` is reported with this place in the contract.
            let place = Span::call_site().located_at(stream.span());
            stream.bounds.push(parse_quote_spanned!(place=> ::core::marker::Send));
        }
        _ => {}
    }
}

/// The last segment of a type's path, if that is its name.
fn segment<'a>(ty: &'a Type, name: &str) -> Option<&'a PathSegment> {
    let Type::Path(path) = bare(ty) else { return None };
    path.path.segments.last().filter(|last| last.ident == name)
}

/// The last segment of a trait's path, if that is one of these.
fn trait_named<'a>(bound: &'a TypeParamBound, names: &[&str]) -> Option<&'a PathSegment> {
    let TypeParamBound::Trait(bound) = bound else { return None };
    bound.path.segments.last().filter(|last| names.iter().any(|name| last.ident == name))
}

fn arguments(segment: &PathSegment) -> Vec<&GenericArgument> {
    match &segment.arguments {
        PathArguments::AngleBracketed(AngleBracketedGenericArguments { args, .. }) => args.iter().collect(),
        _ => Vec::new(),
    }
}

/// The `T` of `Item = T`.
fn item(bound: &PathSegment) -> Option<&Type> {
    arguments(bound).into_iter().find_map(|argument| match argument {
        GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
        _ => None,
    })
}

fn taking(item: Option<&Type>) -> String {
    format!("Streaming<{}>", value(item))
}

fn answering(item: Option<&Type>) -> String {
    format!("impl Stream<Item = Result<{}, Status>>", value(item))
}

/// How to write the value of an item, which may be in a `Result` already.
fn value(item: Option<&Type>) -> String {
    let value = item.map(|item| of_result(item, |_| String::new()).unwrap_or(item));
    value.map_or("T".to_owned(), text_of)
}
