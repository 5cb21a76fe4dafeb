//! What a contract becomes: the trait, its client and its server.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, ItemTrait, ReturnType, TraitItem, TypeParamBound, parse_quote};

use crate::parse::{Contract, Method};
use crate::streams;
use crate::types::Reply;

pub(crate) fn contract(contract: Contract) -> TokenStream {
    let client = client(&contract);
    let server = server(&contract);
    let item = with_send_futures(contract.item);
    quote!(#item #client #server)
}

/// `async fn` in a trait says nothing about `Send`; written out, the future can, and the stream that
/// it comes to. Implementations may use `async fn` all the same.
fn with_send_futures(mut item: ItemTrait) -> ItemTrait {
    item.colon_token = Some(parse_quote!(:));
    let bounds: [TypeParamBound; 3] =
        [parse_quote!(::core::marker::Send), parse_quote!(::core::marker::Sync), parse_quote!('static)];
    item.supertraits.extend(bounds);
    for item in &mut item.items {
        let TraitItem::Fn(method) = item else { continue };
        method.sig.asyncness = None;
        if let ReturnType::Type(_, output) = &mut method.sig.output {
            streams::with_send(output);
            **output = parse_quote!(impl ::core::future::Future<Output = #output> + ::core::marker::Send);
        }
        if let Some(body) = &method.default {
            method.default = Some(parse_quote!({ async move #body }));
        }
    }
    item
}

fn client(contract: &Contract) -> TokenStream {
    let ItemTrait { vis, ident, .. } = &contract.item;
    let client = format_ident!("{}Client", ident);
    let doc = format!("Calls [`{}`] through any [`Caller`](::rpc_core::Caller).", ident.unraw());
    let methods = contract.methods.iter().map(|method| {
        let Method { ident, full_name, .. } = method;
        let attrs = method.attrs.iter().filter(|attr| on_client(attr));
        let doc = (!method.attrs.iter().any(|attr| attr.path().is_ident("doc"))).then(|| {
            let doc = format!("Calls `{full_name}`.");
            quote!(#[doc = #doc])
        });
        let (names, types): (Vec<_>, Vec<_>) = method.args.iter().map(|(name, ty)| (name, ty)).unzip();
        let (args, argument) = (wire(&names), wire(&types));
        let (call, made) = match (&method.items, &method.reply) {
            (None, Reply::One(reply)) => (quote!(Call), quote!(#reply)),
            (None, Reply::Items(item)) => (quote!(StreamCall), quote!(::rpc_core::ServerStream<#item>)),
            (Some(item), Reply::One(reply)) => {
                (quote!(StreamCall), quote!(::rpc_core::ClientStream<#item, #reply>))
            }
            (Some(item), Reply::Items(reply)) => {
                (quote!(StreamCall), quote!(::rpc_core::BidiStream<#item, #reply>))
            }
        };
        let idempotent = method.idempotent.then(|| quote!(.idempotent()));
        let body = quote_spanned! {reported_at(ident)=>
            ::rpc_core::#call::new(::core::clone::Clone::clone(&self.caller), #full_name, #args) #idempotent
        };
        quote! {
            #doc #(#attrs)*
            #vis fn #ident(&self, #(#names: #types),*) -> ::rpc_core::#call<C, #argument, #made> {
                #body
            }
        }
    });
    // A program that only serves, or only calls, leaves the other half unused.
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #client<C> {
            caller: C,
        }

        #[allow(dead_code)]
        impl<C: ::rpc_core::Caller> #client<C> {
            /// A client that makes its calls through `caller`.
            #vis fn new(caller: C) -> Self {
                Self { caller }
            }

            #(#methods)*
        }
    }
}

fn server(contract: &Contract) -> TokenStream {
    let Contract { item: ItemTrait { vis, ident, .. }, name, methods } = contract;
    let server = format_ident!("{}Server", ident);
    let doc = format!(
        "Serves an implementation of [`{}`]: turns it into a [`Service`](::rpc_core::Service).",
        ident.unraw()
    );
    let registrations = methods.iter().map(|method| registration(ident, method));
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #[derive(::core::fmt::Debug)]
        #vis struct #server<T> {
            service: ::std::sync::Arc<T>,
        }

        #[allow(dead_code)]
        impl<T: #ident> #server<T> {
            /// A server of `service`.
            #vis fn new(service: T) -> Self {
                Self::from_arc(::std::sync::Arc::new(service))
            }

            /// A server of a service that others hold too.
            #vis fn from_arc(service: ::std::sync::Arc<T>) -> Self {
                Self { service }
            }
        }

        #[allow(deprecated, unused_variables)]
        impl<T: #ident> ::core::convert::From<#server<T>> for ::rpc_core::Service {
            fn from(server: #server<T>) -> Self {
                let methods = ::rpc_core::Service::new(#name);
                #(#registrations)*
                methods
            }
        }
    }
}

/// A statement for each method, because `#[cfg]` cannot stand on one link of a chain.
fn registration(contract: &Ident, method: &Method) -> TokenStream {
    let Method { ident, name, args, .. } = method;
    let cfgs = method.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    // Names of our own: the user's could hide `service` or `cx`.
    let names: Vec<_> = (0..args.len()).map(|at| format_ident!("arg{at}")).collect();
    let types: Vec<_> = args.iter().map(|(_, ty)| ty).collect();
    let (pattern, argument) = (wire(&names), wire(&types));
    let execution =
        method.execution.as_ref().map(|execution| quote!(.execution(::rpc_core::Execution::#execution)));
    let cx = quote_spanned!(reported_at(&method.context)=> &cx);
    // What is given to the method; its items last.
    let given = |items: Option<TokenStream>| {
        let names = names.iter().map(ToTokens::to_token_stream).chain(items);
        quote_spanned!(reported_at(ident)=> <T as #contract>::#ident(&service, #cx, #(#names),*).await)
    };
    let made = match (&method.items, &method.reply) {
        (None, Reply::One(_)) => {
            let answer = given(None);
            quote_spanned! {reported_at(ident)=>
                ::rpc_core::Method::new(#name, move |cx: ::rpc_core::Context, #pattern: #argument| {
                    let service = ::std::sync::Arc::clone(&service);
                    async move { #answer }
                })
            }
        }
        (Some(item), Reply::One(_)) => {
            let answer = given(Some(quote!(items)));
            quote_spanned! {reported_at(ident)=>
                ::rpc_core::Method::client_stream(#name, move |
                    cx: ::rpc_core::Context,
                    #pattern: #argument,
                    items: ::rpc_core::Streaming<#item>,
                | {
                    let service = ::std::sync::Arc::clone(&service);
                    async move { #answer }
                })
            }
        }
        (items, Reply::Items(reply)) => {
            let shape = if items.is_some() { quote!(Bidi) } else { quote!(Server) };
            let items = items.as_ref().map(|item| quote!(::rpc_core::streaming::items::<#item>(&cx)));
            let stream = given(items);
            // One block owns service and context, which the stream may borrow from, and sends it.
            quote_spanned! {reported_at(ident)=>
                ::rpc_core::Method::sending::<#argument, #reply, _, _>(
                    #name,
                    ::rpc_core::stream::Shape::#shape,
                    move |cx: ::rpc_core::Context, #pattern: #argument| {
                        let service = ::std::sync::Arc::clone(&service);
                        async move {
                            let stream = #stream.map_err(::core::convert::Into::<::rpc_core::Status>::into)?;
                            ::rpc_core::streaming::pump(&cx, stream).await
                        }
                    },
                )
            }
        }
    };
    quote! {
        #(#cfgs)*
        let methods = methods.with({
            let service = ::std::sync::Arc::clone(&server.service);
            #made #execution
        });
    }
}

/// Generated code that the compiler reports on in the user's: there the mistake is.
fn reported_at(place: &impl Spanned) -> Span {
    Span::call_site().located_at(place.span())
}

/// One argument crosses the wire as itself, several as a tuple, none as `()`.
fn wire<T: quote::ToTokens>(parts: &[T]) -> TokenStream {
    match parts {
        [part] => quote!(#part),
        parts => quote!((#(#parts),*)),
    }
}

fn on_client(attr: &Attribute) -> bool {
    ["doc", "cfg", "deprecated", "allow"].iter().any(|kept| attr.path().is_ident(kept))
}
