//! protosocket-rpc with prost: pooled encoders and its default buffers, as in its `example-proto`. One message type
//! carries everything, both ways.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::protosocket::{PooledEncoder, SocketListener, TcpSocketListener};
use ::protosocket_rpc::client::{Configuration, RpcClient, TcpStreamConnector};
use ::protosocket_rpc::server::{ConnectionService, RpcKind, SocketRpcServer, SocketService};
use ::protosocket_rpc::{Error, Message, ProtosocketControlCode};
use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use futures_util::future::Either;
use futures_util::stream::{self, Stream, StreamExt};
use protosocket_prost::{ProstDecoder, ProstSerializer};

use crate::contract::{Args, PAUSE};
use crate::drive::Caller;
use crate::measure::Tally;

/// What the client's configuration has by default.
const BUFFER: usize = 4 << 20;
const INCREMENT: usize = 1 << 20;
const QUEUED: usize = 256;

#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint32, tag = "2")]
    code: u32,
    #[prost(oneof = "Kind", tags = "3, 4, 5, 6, 7")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "3")]
    Factors(Factors),
    #[prost(int64, tag = "4")]
    Product(i64),
    /// The body itself comes back.
    #[prost(bytes = "bytes", tag = "5")]
    Echo(Bytes),
    #[prost(bool, tag = "6")]
    Wait(bool),
    /// A stream of so many bytes each.
    #[prost(uint32, tag = "7")]
    Repeat(u32),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Factors {
    #[prost(int64, tag = "1")]
    a: i64,
    #[prost(int64, tag = "2")]
    b: i64,
}

impl From<Kind> for Envelope {
    fn from(kind: Kind) -> Self {
        Self { id: 0, code: 0, kind: Some(kind) }
    }
}

impl Message for Envelope {
    fn message_id(&self) -> u64 {
        self.id
    }

    fn control_code(&self) -> ProtosocketControlCode {
        ProtosocketControlCode::from_u8(self.code as u8)
    }

    fn set_message_id(&mut self, id: u64) {
        self.id = id;
    }

    fn cancelled(id: u64) -> Self {
        Self { id, code: ProtosocketControlCode::Cancel.as_u8().into(), kind: None }
    }

    fn ended(id: u64) -> Self {
        Self { id, code: ProtosocketControlCode::End.as_u8().into(), kind: None }
    }
}

type Codec = (PooledEncoder<ProstSerializer<Envelope>>, ProstDecoder<Envelope>);

struct Service;

impl SocketService for Service {
    type ConnectionService = Service;
    type SocketListener = TcpSocketListener;

    fn codec(&mut self) -> Codec {
        Codec::default()
    }

    fn new_stream_service(&mut self, _: &<TcpSocketListener as SocketListener>::Stream) -> Self {
        Self
    }
}

impl ConnectionService for Service {
    type Codec = Codec;
    type Request = Envelope;
    type Response = Envelope;
    type UnaryFutureType = Either<Ready<Envelope>, Pin<Box<dyn Future<Output = Envelope> + Send>>>;
    type StreamType = Pin<Box<dyn Stream<Item = Envelope> + Send>>;

    fn new_rpc(&mut self, question: Envelope) -> RpcKind<Self::UnaryFutureType, Self::StreamType> {
        match question.kind {
            Some(Kind::Factors(Factors { a, b })) => {
                RpcKind::Unary(Either::Left(ready(Kind::Product(a.wrapping_mul(b)).into())))
            }
            Some(Kind::Echo(body)) => RpcKind::Unary(Either::Left(ready(Kind::Echo(body).into()))),
            Some(Kind::Wait(_)) => RpcKind::Unary(Either::Right(Box::pin(async {
                tokio::time::sleep(PAUSE).await;
                Kind::Wait(true).into()
            }))),
            Some(Kind::Repeat(size)) => {
                let item = Bytes::from(vec![7; size as usize]);
                RpcKind::Streaming(Box::pin(stream::repeat_with(move || Kind::Echo(item.clone()).into())))
            }
            _ => RpcKind::Cancelled,
        }
    }
}

/// Listens, and then serves until the process ends.
///
/// # Errors
/// When it cannot listen.
pub fn serve(address: SocketAddr) -> Result<impl Future<Output = Result<()>> + Send> {
    let listener = TcpSocketListener::listen(address, 1024, None)?;
    let server = SocketRpcServer::new(listener, Service, BUFFER, INCREMENT, QUEUED)?;
    Ok(async move { Ok(server.await?) })
}

/// What calls are made with.
#[derive(Clone, Debug)]
pub struct Client {
    inner: RpcClient<Envelope, Envelope>,
    ids: Arc<AtomicU64>,
}

/// A connection with its task.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect(address: SocketAddr) -> Result<Client> {
    let configuration = Configuration::new(TcpStreamConnector);
    let connecting = ::protosocket_rpc::client::connect::<Codec, _>(address, &configuration).await;
    let (inner, connection) = connecting.map_err(|error| match error {
        // It does not tell its source.
        Error::IoFailure(source) => io::Error::new(source.kind(), source).into(),
        other => anyhow::Error::from(other),
    })?;
    tokio::spawn(connection);
    Ok(Client { inner, ids: Arc::new(AtomicU64::new(1)) })
}

impl Client {
    fn envelope(&self, kind: Kind) -> Envelope {
        Envelope { id: self.ids.fetch_add(1, Ordering::Relaxed), ..kind.into() }
    }

    async fn call(&self, kind: Kind) -> Result<Option<Kind>> {
        Ok(self.inner.send_unary(self.envelope(kind))?.await?.kind)
    }
}

impl Caller for Client {
    async fn multiply(&self, Args { a, b }: Args) -> Result<i64> {
        match self.call(Kind::Factors(Factors { a, b })).await? {
            Some(Kind::Product(product)) => Ok(product),
            other => bail!("{other:?} is no product"),
        }
    }

    async fn echo(&self, body: Bytes) -> Result<Bytes> {
        match self.call(Kind::Echo(body)).await? {
            Some(Kind::Echo(body)) => Ok(body),
            other => bail!("{other:?} is no echo"),
        }
    }

    async fn wait(&self) -> Result<()> {
        self.call(Kind::Wait(true)).await.map(drop)
    }

    async fn take(self, size: usize, mut tally: Tally) -> Result<()> {
        let mut items = self.inner.send_streaming(self.envelope(Kind::Repeat(size as u32)))?;
        while let Some(item) = items.next().await {
            let Some(Kind::Echo(item)) = item?.kind else { bail!("no item") };
            ensure!(item.len() == size, "the item has another size");
            tally.add(1);
        }
        bail!("the stream has ended")
    }
}
