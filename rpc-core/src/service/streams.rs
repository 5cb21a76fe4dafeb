//! Methods whose arguments or answers are streams.

use std::any::type_name;
use std::borrow::Cow;
use std::future::Future;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Method, Service};
use crate::context::Context;
use crate::status::Status;
use crate::stream::Shape;
use crate::streaming::{Streaming, items, pump};

impl Method {
    /// A method that answers with a stream: a function of context and arguments.
    ///
    /// The answer begins when the function returns its stream, and ends when that ends: with its last
    /// item, or with its first error. The stream is polled where the [handler](Self::execution) is, and
    /// only while the caller has room for items.
    pub fn server_stream<A, T, S, E, X, F, H>(name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<S, E>> + Send + 'static,
        S: Stream<Item = Result<T, X>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: Into<Status> + 'static,
        X: Into<Status> + 'static,
    {
        Self::sending::<A, T, _, _>(name, Shape::Server, move |cx, args| {
            let stream = handler(cx.clone(), args);
            async move { pump(&cx, stream.await.map_err(Into::into)?).await }
        })
    }

    /// A method that takes a stream: a function of context, arguments and items.
    pub fn client_stream<A, T, R, E, F, H>(name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A, Streaming<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        Self::of(name.into(), Some(Shape::Client), type_name::<R>(), move |cx: Context, args: A| {
            let items = items(&cx);
            handler(cx, args, items)
        })
    }

    /// A method that takes a stream and answers with one: a function of context, arguments and items.
    /// See [`server_stream`](Self::server_stream).
    pub fn bidi_stream<A, T, U, S, E, X, F, H>(name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A, Streaming<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<S, E>> + Send + 'static,
        S: Stream<Item = Result<U, X>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        U: Serialize + Send + 'static,
        E: Into<Status> + 'static,
        X: Into<Status> + 'static,
    {
        Self::sending::<A, U, _, _>(name, Shape::Bidi, move |cx, args| {
            let stream = handler(cx.clone(), args, items(&cx));
            async move { pump(&cx, stream.await.map_err(Into::into)?).await }
        })
    }

    /// A method whose handler sends its answer itself, with [`pump`]: for generated code, whose streams
    /// borrow from the service.
    #[doc(hidden)]
    pub fn sending<A, T, F, H>(name: impl Into<Cow<'static, str>>, shape: Shape, handler: H) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Status>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        Self::of(name.into(), Some(shape), type_name::<Streaming<T>>(), handler)
    }
}

impl Service {
    /// Adds a method that answers with a stream; see [`Method::server_stream`].
    #[must_use]
    pub fn server_stream<A, T, S, E, X, F, H>(self, name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<S, E>> + Send + 'static,
        S: Stream<Item = Result<T, X>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: Into<Status> + 'static,
        X: Into<Status> + 'static,
    {
        self.with(Method::server_stream(name, handler))
    }

    /// Adds a method that takes a stream; see [`Method::client_stream`].
    #[must_use]
    pub fn client_stream<A, T, R, E, F, H>(self, name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A, Streaming<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        self.with(Method::client_stream(name, handler))
    }

    /// Adds a method that takes a stream and answers with one; see [`Method::bidi_stream`].
    #[must_use]
    pub fn bidi_stream<A, T, U, S, E, X, F, H>(self, name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A, Streaming<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<S, E>> + Send + 'static,
        S: Stream<Item = Result<U, X>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        U: Serialize + Send + 'static,
        E: Into<Status> + 'static,
        X: Into<Status> + 'static,
    {
        self.with(Method::bidi_stream(name, handler))
    }
}
