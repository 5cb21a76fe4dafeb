//! Three ways in which time runs out between a client and a server, each with what both sides are left
//! with: what the call becomes, when the connection is given up, and that nothing stays open. `chaos stories`
//! does the same to processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_client::{Client, Connector, Error, Lost};
use rpc_core::Executed;
use rpc_server::Server;
use tests::{Args, Gate, arith, within};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A stream over a network that can be cut: then nothing comes any more, not even its end, and what is
/// sent is gone.
struct Cable {
    io: DuplexStream,
    cut: watch::Receiver<bool>,
    /// Counts those that are open.
    _open: Arc<()>,
}

impl Cable {
    fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if self.is_cut() {
            buf.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A server and the network between; clients that come while it is cut find nobody.
struct Network {
    server: Server,
    cut: watch::Sender<bool>,
    ends: [Arc<()>; 2],
}

impl Network {
    fn with(gate: &Gate) -> Arc<Self> {
        let server = gate.register(arith()).build().unwrap();
        Arc::new(Self { server, cut: watch::Sender::new(false), ends: Default::default() })
    }

    /// Streams that the client and the server hold.
    fn open(&self) -> [usize; 2] {
        [0, 1].map(|end| Arc::strong_count(&self.ends[end]) - 1)
    }
}

struct Dialler(Arc<Network>);

impl Connector for Dialler {
    type Io = Cable;

    async fn connect(&self) -> io::Result<Cable> {
        let Network { server, cut, ends } = &*self.0;
        if *cut.borrow() {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        let cable = |io, end: usize| Cable { io, cut: cut.subscribe(), _open: ends[end].clone() };
        let (near, far, server) = (cable(near, 0), cable(far, 1), server.clone());
        tokio::spawn(async move { server.serve_connection(far).await });
        Ok(near)
    }
}

async fn join(gate: &Gate) -> (Client, Arc<Network>) {
    let network = Network::with(gate);
    let client = Client::builder().connect_with(Dialler(network.clone()), "far:1").await.unwrap();
    assert_eq!(network.open(), [1, 1]);
    (client, network)
}

async fn assert_all_gone_after(network: &Network, begun: Instant, time: Duration) {
    sleep((begun + time - SECOND / 100).duration_since(Instant::now())).await;
    assert_eq!(network.open(), [1, 1], "not before");
    sleep(SECOND / 50).await;
    assert_eq!((network.open(), network.server.connections()), ([0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_host_dies_is_given_up_after_interval_and_timeout_and_its_call_may_have_run() {
    let gate = Gate::new();
    let (client, network) = join(&gate).await;
    let call = tokio::spawn(client.start::<i64>("Gate.Pass", 1));
    gate.entered().await;
    let begun = Instant::now();
    network.cut.send_replace(true);
    let ended = tokio::spawn(async move { (call.await.unwrap(), begun.elapsed()) });
    assert_all_gone_after(&network, begun, 40 * SECOND).await;
    let (error, took) = within(ended).await.unwrap();
    assert!(
        matches!(
            error,
            Err(Error::ConnectionLost { executed: Executed::Maybe, source: Lost::Unresponsive, .. })
        ),
        "{error:?}"
    );
    assert_eq!(took.as_secs(), 40);
    gate.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_client_gives_up_is_given_up_by_the_server_and_the_connection_goes_on() {
    let gate = Gate::new();
    let (client, network) = join(&gate).await;
    let begun = Instant::now();
    let error = within(client.call::<_, i64>("Gate.Pass", 1).timeout(SECOND)).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. }), "{error:?}");
    gate.dropped().await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!((product, network.open()), (56, [1, 1]), "on the same connection");
    client.close().await.unwrap();
    sleep(SECOND / 100).await;
    assert_eq!((network.open(), network.server.connections()), ([0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_first_finds_out_by_itself_that_the_servers_host_is_dead() {
    let gate = Gate::new();
    let (client, network) = join(&gate).await;
    let call = client.call::<_, i64>("Gate.Pass", 1).timeout(5 * SECOND).into_future();
    let call = tokio::spawn(call);
    gate.entered().await;
    let begun = Instant::now();
    network.cut.send_replace(true);
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::Maybe, .. }), "{error:?}");
    assert_eq!(begun.elapsed().as_secs(), 5);
    gate.dropped().await;
    assert_eq!(network.open(), [1, 1], "nobody knows yet");
    assert_all_gone_after(&network, begun, 40 * SECOND).await;
}
