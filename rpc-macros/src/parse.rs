//! The model of a contract, and what can be wrong with one.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::{
    Attribute, Error, FnArg, Item, ItemTrait, Pat, PatType, ReceiverKind, Result, Safety, Signature,
    TraitItem, TraitItemFn, Type,
};

use crate::faults::Faults;
use crate::name::WireName;
use crate::options::{self, MethodOptions};
use crate::streams;
use crate::types::{Reply, bare, owned, reply};

/// A trait that can be served.
pub(crate) struct Contract {
    /// As the user wrote it, without `#[rpc(..)]`.
    pub(crate) item: ItemTrait,
    pub(crate) name: String,
    pub(crate) methods: Vec<Method>,
}

/// A method of it.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) name: String,
    /// With the service's.
    pub(crate) full_name: String,
    /// The variant of `Execution`, unless it is the default.
    pub(crate) execution: Option<Ident>,
    pub(crate) idempotent: bool,
    pub(crate) context: Type,
    pub(crate) args: Vec<(Ident, Type)>,
    /// The type of the items that come behind the arguments.
    pub(crate) items: Option<Type>,
    pub(crate) reply: Reply,
}

impl Contract {
    pub(crate) fn new(options: TokenStream, item: TokenStream) -> Result<Self> {
        let mut item = match syn::parse2(item)? {
            Item::Trait(item) => item,
            other => {
                let text = "`#[service]` goes on a trait; implementations of the trait need no attribute";
                return Err(Error::new_spanned(other, text));
            }
        };
        let mut faults = Faults::default();
        check_trait(&item, &mut faults);
        let given = faults.check(options::of_service(options)).flatten();
        let service = faults.check(WireName::service(given.as_ref(), &item.ident));
        let mut methods = Vec::new();
        for item in &mut item.items {
            match item {
                TraitItem::Fn(method) => methods.extend(Method::new(method, service.as_ref(), &mut faults)),
                TraitItem::Const(_) => {
                    faults.add(item, "a service has methods only: a constant stays on one side")
                }
                TraitItem::Type(_) => {
                    faults.add(item, "a service has methods only: name the types in the methods themselves");
                }
                _ => faults.add(item, "a service has methods only: write `async fn` in full"),
            }
        }
        check_clashes(&methods, &mut faults);
        faults.into_result()?;
        let name = service.map_or_else(String::new, |name| name.text);
        Ok(Self { item, name, methods })
    }
}

fn check_trait(item: &ItemTrait, faults: &mut Faults) {
    let generics = &item.generics;
    if !generics.params.is_empty() {
        faults.add(
            generics,
            "a service has one wire format for all: write the types in place of the parameters",
        );
    }
    if let Some(clause) = &generics.where_clause {
        faults.add(clause, "a service has no `where` clause: write bounds as supertraits");
    }
    if let Some(token) = &item.unsafety {
        faults.add(token, "a service cannot be `unsafe`: callers are on another machine");
    }
}

/// Methods under `#[cfg]` may take turns with one name.
fn check_clashes(methods: &[Method], faults: &mut Faults) {
    let conditional = |method: &Method| method.attrs.iter().any(|attr| attr.path().is_ident("cfg"));
    let mut first = HashMap::new();
    for method in methods.iter().filter(|method| !conditional(method)) {
        if let Some(other) = first.insert(&method.full_name, &method.ident) {
            let text = format!(
                "`{}` on the wire is `{}` already: give one of them another name with `#[rpc(name = \"..\")]`",
                method.full_name,
                other.unraw()
            );
            faults.add(&method.ident, text);
        }
    }
}

impl Method {
    /// Takes its `#[rpc(..)]` out of `item`. `None` only if `faults` says why.
    fn new(item: &mut TraitItemFn, service: Option<&WireName>, faults: &mut Faults) -> Option<Self> {
        let options = faults.check(MethodOptions::take(&mut item.attrs));
        let sig = &item.sig;
        check_signature(sig, faults);
        let given = options.as_ref().and_then(|options| options.name.as_ref());
        let name = faults.check(WireName::method(given, &sig.ident));
        let full_name = service.zip(name.as_ref()).and_then(|(service, name)| faults.check(name.of(service)));

        let mut params = sig.inputs.iter().filter_map(|param| match param {
            FnArg::Typed(param) => Some(param),
            FnArg::Receiver(_) => None,
        });
        let context = faults.check(context(params.next(), sig));
        // Without one it may be among the arguments, where it would be reported as something else.
        let args = params.filter(|_| context.is_some());
        let args = args.filter_map(|param| faults.check(argument(param))).collect();
        let (args, items) = apart(args, faults);
        let reply = faults.check(reply(&sig.output, sig));
        let MethodOptions { execution, idempotent, .. } = options?;
        if let (Some(option), Some(_)) = (&idempotent, &items) {
            let text = "a method that takes a stream is not `idempotent`: its items cannot be sent again";
            faults.add(option, text);
        }
        Some(Self {
            ident: sig.ident.clone(),
            attrs: item.attrs.clone(),
            name: name?.text,
            full_name: full_name?,
            execution,
            idempotent: idempotent.is_some(),
            context: context?,
            args,
            items,
            reply: reply?,
        })
    }
}

fn check_signature(sig: &Signature, faults: &mut Faults) {
    if sig.ident == "new" {
        let text =
            "`new` makes the generated client: name the method otherwise, and add `#[rpc(name = \"New\")]`";
        faults.add(&sig.ident, text);
    }
    if sig.asyncness.is_none() {
        faults.add(sig.fn_token, "a method waits for the other side: write `async fn`");
    }
    if let Safety::Unsafe(_) | Safety::Safe(_) = sig.safety {
        faults.add(&sig.safety, "a method is a plain `async fn`: its callers are on another machine");
    }
    if let Some(abi) = &sig.abi {
        faults.add(abi, "a method is a plain `async fn`: its callers are on another machine");
    }
    if !sig.generics.params.is_empty() {
        let text = "a method has one wire format for all: write the types in place of the parameters";
        faults.add(&sig.generics, text);
    }
    if let Some(clause) = &sig.generics.where_clause {
        faults.add(clause, "a method of a service has no `where` clause");
    }
    match sig.receiver() {
        None => faults.add(&sig.ident, "calls share the service: write `&self` as the first parameter"),
        Some(receiver) if matches!(receiver.kind, ReceiverKind::Reference(_, None, None)) => {}
        Some(receiver) => faults.add(
            receiver,
            "calls share the service: write `&self`, and keep what changes in a `Mutex` or an atomic",
        ),
    }
}

/// The type behind the reference in `cx: &Context`.
fn context(param: Option<&PatType>, sig: &Signature) -> Result<Type> {
    let missing =
        "a method takes the context of its call before the arguments: write `cx: &Context` after `&self`";
    let lent = "the context is lent for the call: write `cx: &Context`";
    let Some(param) = param else { return Err(Error::new_spanned(&sig.ident, missing)) };
    let text = match bare(&param.ty) {
        Type::Reference(reference) => match bare(&reference.elem) {
            Type::Path(path) if path.path.is_ident("str") => missing,
            Type::Path(_) if reference.mutability.is_some() || reference.lifetime.is_some() => lent,
            Type::Path(_) => return Ok((*reference.elem).clone()),
            _ => missing,
        },
        Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Context") => lent,
        _ => missing,
    };
    Err(Error::new_spanned(param, text))
}

/// An argument.
enum Argument {
    /// That crosses the wire with the call.
    Value(Ident, Type),
    /// A stream of these, which follow it.
    Items(Ident, Type),
}

fn argument(param: &PatType) -> Result<Argument> {
    if let Some(attr) = param.attrs.first() {
        return Err(Error::new_spanned(attr, "arguments have no attributes"));
    }
    let ident = match &*param.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() => {
            pat.ident.clone()
        }
        pat => {
            let text = "the client's method needs a name for the argument: write a plain one here, and take it \
                        apart or make it `mut` in the body";
            return Err(Error::new_spanned(pat, text));
        }
    };
    if let Some(item) = streams::taken(&param.ty)? {
        return Ok(Argument::Items(ident, item));
    }
    owned(&param.ty)?;
    Ok(Argument::Value(ident, (*param.ty).clone()))
}

/// The values, and the type of the items: of one stream, which is the last of the arguments.
fn apart(args: Vec<Argument>, faults: &mut Faults) -> (Vec<(Ident, Type)>, Option<Type>) {
    let (mut values, mut items, mut place) = (Vec::new(), None, None);
    for arg in args {
        match arg {
            Argument::Items(ident, _) if items.is_some() => {
                let text = "a method takes one stream: make one of both, with an enum as its items";
                faults.add(ident, text);
            }
            Argument::Items(ident, item) => (items, place) = (Some(item), Some(ident)),
            Argument::Value(ident, ty) => {
                if let Some(place) = place.take() {
                    faults.add(place, "items come behind the arguments: write the `Streaming` last");
                }
                values.push((ident, ty));
            }
        }
    }
    (values, items)
}
