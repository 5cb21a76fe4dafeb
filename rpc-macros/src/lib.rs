//! The `#[service]` attribute, to be used as `rpc_core::service`.

#![forbid(unsafe_code)]

mod expand;
mod faults;
mod name;
mod options;
mod parse;
mod streams;
mod types;

use proc_macro::TokenStream;

/// Makes a trait the contract of a service: `Arith` gets an `ArithClient` that calls it and an
/// `ArithServer` that serves it.
///
/// ```
/// use rpc_core::{Context, Service, Status};
///
/// #[rpc_core::service]
/// pub trait Arith {
///     /// The product of two numbers.
///     async fn multiply(&self, cx: &Context, a: i64, b: i64) -> Result<i64, Status>;
///
///     /// Whether the number has no divisors but itself and one.
///     #[rpc(name = "Prime", spawn)]
///     async fn is_prime(&self, cx: &Context, number: u64) -> Result<bool, Status>;
/// }
///
/// struct Calculator;
///
/// impl Arith for Calculator {
///     async fn multiply(&self, _cx: &Context, a: i64, b: i64) -> Result<i64, Status> {
///         a.checked_mul(b).ok_or_else(|| Status::out_of_range("the product has over 64 bits"))
///     }
///
///     async fn is_prime(&self, _cx: &Context, number: u64) -> Result<bool, Status> {
///         Ok(number > 1 && (2..).take_while(|d| d * d <= number).all(|d| number % d != 0))
///     }
/// }
///
/// let service = Service::from(ArithServer::new(Calculator));
/// assert_eq!(service.name(), "Arith");
/// assert_eq!(service.methods()[0].name(), "Multiply");
///
/// async fn area<C: rpc_core::Caller>(connection: C) -> Result<i64, C::Error> {
///     ArithClient::new(connection).multiply(6, 7).await
/// }
/// ```
///
/// # The trait
///
/// A method is `async fn name(&self, cx: &Context, ..) -> Result<T, Status>`. Arguments and `T` own
/// their data and are encoded with serde; in place of `Status` any error will do that turns into one.
/// The trait becomes `Send + Sync + 'static` and its futures `Send`; implementations are written
/// with `async fn`, and need no attribute. A method with a body is a default that implementations
/// may leave out.
///
/// # Streams
///
/// A method whose last argument is a `Streaming<T>` takes any number of items behind its arguments. One
/// that returns `Result<impl Stream<Item = Result<T, Status>>, Status>` answers with any number of them.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use rpc_core::{Caller, Context, Service, Status, Stream, Streaming};
///
/// #[rpc_core::service]
/// pub trait Words {
///     /// The words that begin with a text.
///     #[rpc(idempotent)]
///     async fn beginning(
///         &self,
///         cx: &Context,
///         with: String,
///     ) -> Result<impl Stream<Item = Result<String, Status>>, Status>;
///
///     /// How many of these words are known.
///     async fn known(&self, cx: &Context, words: Streaming<String>) -> Result<usize, Status>;
///
///     /// Whether each of these words is known.
///     async fn check(
///         &self,
///         cx: &Context,
///         words: Streaming<String>,
///     ) -> Result<impl Stream<Item = Result<bool, Status>>, Status>;
/// }
///
/// struct List(Vec<String>);
///
/// impl Words for List {
///     async fn beginning(
///         &self,
///         _cx: &Context,
///         with: String,
///     ) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
///         let words = self.0.iter().filter(move |word| word.starts_with(&with));
///         Ok(stream::iter(words).map(|word| Ok(word.clone())))
///     }
///
///     async fn known(&self, _cx: &Context, mut words: Streaming<String>) -> Result<usize, Status> {
///         let mut known = 0;
///         while let Some(word) = words.try_next().await? {
///             known += usize::from(self.0.contains(&word));
///         }
///         Ok(known)
///     }
///
///     async fn check(
///         &self,
///         _cx: &Context,
///         words: Streaming<String>,
///     ) -> Result<impl Stream<Item = Result<bool, Status>>, Status> {
///         Ok(words.map(|word| Ok(self.0.contains(&word?))))
///     }
/// }
///
/// assert_eq!(Service::from(WordsServer::new(List(Vec::new()))).methods().len(), 3);
///
/// async fn use_all<C: Caller>(connection: C) -> Result<(), Box<dyn std::error::Error>>
/// where
///     C::Error: std::error::Error,
/// {
///     let client = WordsClient::new(connection);
///     let mut found = client.beginning("str".into()).await?;
///     while let Some(word) = found.try_next().await? {
///         println!("{word}");
///     }
///
///     let (mut words, known) = client.known().await?;
///     words.send("stream".into()).await?;
///     words.finish();
///     println!("{} known", known.await?);
///
///     let (mut words, mut answers) = client.check().await?;
///     words.send("stream".into()).await?;
///     println!("known: {:?}", answers.try_next().await?);
///     words.finish();
///     Ok(())
/// }
/// ```
///
/// The stream that a method returns may borrow from `self` and from `cx`. It ends with its last item or with
/// its first error; where the method answers with an error instead of a stream, the caller gets that in place
/// of one. It is polled while the caller has room for items, and dropped when the caller has gone.
///
/// The items that a method takes end with `None` when the caller finished them, and with an error when it
/// has gone. A test hands a method items of its own: [`Streaming::new`](../rpc_core/struct.Streaming.html#method.new).
///
/// A client's method makes a [`StreamCall`](../rpc_core/struct.StreamCall.html), which has the options of a
/// call. Awaited it comes to a `Streaming<T>`; to a `Sender<T>` and the one answer as a future; or to a
/// `Sender<T>` and a `Streaming<T>`.
///
/// # On the wire
///
/// As in Go's net/rpc: the trait's name, a dot, and the method's name in UpperCamelCase, such as
/// `Arith.Multiply`. A full name has at most 128 bytes out of `A-Z a-z 0-9 _ . / -`.
///
/// One argument is encoded as itself, several as a tuple, none as `()`; a stream is none of them. So adding an argument
/// changes the method; to add to it later without that, take a struct from the start and use a
/// format that knows field names, or add another method.
///
/// # Options
///
/// `#[service(name = "Math.Arith")]` sets the name of the service on the wire. On a method:
///
/// - `#[rpc(name = "Prime")]` sets its name on the wire.
/// - `#[rpc(spawn)]` polls it in a task of its own: for methods that compute for more than about
///   100 µs at a time.
/// - `#[rpc(blocking)]` runs it on a thread for blocking work: for methods that block.
/// - `#[rpc(idempotent)]` says that running it twice is as good as running it once. A client then
///   sends the call again when its connection was lost and nobody knows whether it has run. It is
///   part of the contract: clients read it, servers do not. A method that takes a stream cannot be: its items
///   cannot be sent again. One that answers with a stream is run again only if the answer did not begin.
///
/// The generated code names the crate `::rpc_core`; it has to be a dependency under that name.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    parse::Contract::new(options.into(), item.into())
        .map_or_else(|error| error.into_compile_error(), expand::contract)
        .into()
}
