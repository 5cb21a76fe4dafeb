//! Services and methods: what a server can be asked for.

mod streams;

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::lane::{FnLane, Lane};
use crate::message::MAX_NAME;
use crate::peer::Origin;
use crate::status::Status;
use crate::stream::Shape;

/// Where a method's handler is polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Execution {
    /// In the task of its connection: the fastest, for handlers that wait or end soon.
    #[default]
    Inline,
    /// In a task of its own: for handlers that compute for more than about 100 µs at a time.
    Spawn,
    /// On a thread for blocking work: for handlers that block.
    Blocking,
}

/// A named group of methods.
///
/// `#[service]` makes one from a trait; by hand it is made from functions:
///
/// ```
/// use rpc_core::{Context, Service, Status};
///
/// let echo = Service::new("Echo")
///     .method("Say", |_cx: Context, text: String| async move { Ok::<_, Status>(text) });
/// assert_eq!(echo.methods()[0].name(), "Say");
/// ```
#[derive(Debug)]
pub struct Service {
    name: Cow<'static, str>,
    methods: Vec<Method>,
}

impl Service {
    /// A service without methods.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), methods: Vec::new() }
    }

    /// The same methods under another name (Go: `RegisterName`).
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a method made from a function.
    #[must_use]
    pub fn method<A, R, E, F, H>(self, name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        self.with(Method::new(name, handler))
    }

    /// Adds a method.
    #[must_use]
    pub fn with(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The methods, in the order in which they were added.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Name and methods.
    #[must_use]
    pub fn into_parts(self) -> (Cow<'static, str>, Vec<Method>) {
        (self.name, self.methods)
    }
}

/// One method: its name, the names of its types, and how to run it.
pub struct Method {
    name: Cow<'static, str>,
    argument: &'static str,
    reply: &'static str,
    shape: Option<Shape>,
    execution: Execution,
    lane: Box<MakeLane>,
}

type MakeLane = dyn Fn(Arc<Origin>, Arc<str>) -> Box<dyn Lane> + Send + Sync;

impl Method {
    /// A method made from a function of context and arguments.
    pub fn new<A, R, E, F, H>(name: impl Into<Cow<'static, str>>, handler: H) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        Self::of(name.into(), None, type_name::<R>(), handler)
    }

    pub(crate) fn of<A, R, E, F, H>(
        name: Cow<'static, str>,
        shape: Option<Shape>,
        reply: &'static str,
        handler: H,
    ) -> Self
    where
        H: Fn(Context, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: Into<Status> + 'static,
    {
        let handler = Arc::new(handler);
        let items = shape.is_some_and(Shape::answers);
        Self {
            name,
            argument: type_name::<A>(),
            reply,
            shape,
            execution: Execution::Inline,
            lane: Box::new(move |origin, method| {
                Box::new(FnLane::new(handler.clone(), items, origin, method))
            }),
        }
    }

    /// Which directions of its calls have items; `None`: neither.
    #[must_use]
    #[inline]
    pub fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// Says where the handler is polled.
    #[must_use]
    pub fn execution(mut self, execution: Execution) -> Self {
        self.execution = execution;
        self
    }

    /// Where the handler is polled.
    #[must_use]
    #[inline]
    pub fn runs(&self) -> Execution {
        self.execution
    }

    /// The name within its service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Rust name of the argument's type.
    #[must_use]
    pub fn argument(&self) -> &'static str {
        self.argument
    }

    /// The Rust name of the reply's type.
    #[must_use]
    pub fn reply(&self) -> &'static str {
        self.reply
    }

    /// What runs the calls of this method on one connection. `full_name` is what the handler's
    /// context tells.
    #[must_use]
    pub fn lane(&self, origin: Arc<Origin>, full_name: Arc<str>) -> Box<dyn Lane> {
        (self.lane)(origin, full_name)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}, {})", self.name, self.argument, self.reply)
    }
}

/// Splits a full name at its last dot into service and method, as net/rpc does.
///
/// # Errors
/// net/rpc's own text, as [`Code::Unimplemented`](crate::Code::Unimplemented), when there is no dot,
/// when the name is longer than 128 bytes or not made of `A-Z a-z 0-9 _ . / -`.
pub fn split_name(full: &[u8]) -> Result<(&str, &str), Status> {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-".contains(byte);
    std::str::from_utf8(full)
        .ok()
        .filter(|name| name.len() <= MAX_NAME && full.iter().all(known))
        .and_then(|name| name.rsplit_once('.'))
        .ok_or_else(|| {
            let shown: String = full
                .iter()
                .take(MAX_NAME)
                .copied()
                .flat_map(std::ascii::escape_default)
                .map(char::from)
                .collect();
            Status::unimplemented(format!("rpc: service/method request ill-formed: {shown}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Code;

    #[test]
    fn names_split_at_the_last_dot() {
        assert_eq!(split_name(b"net.rpc.Arith.Add").unwrap(), ("net.rpc.Arith", "Add"));
    }

    #[test]
    fn ill_formed_names_are_refused_with_net_rpcs_text_and_escaped() {
        for (name, shown) in [(&b"Arith"[..], "Arith"), (b"A\n.B", "A\\n.B"), (b"\xff.B", "\\xff.B")] {
            let status = split_name(name).unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented);
            assert_eq!(status.message(), format!("rpc: service/method request ill-formed: {shown}"));
        }
        assert!(split_name(&[b'a'; 200]).is_err());
    }
}
