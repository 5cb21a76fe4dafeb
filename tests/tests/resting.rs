//! Clients whose connection was closed for disuse: who dials for them, and where.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

use rpc_client::{Client, ConnectionState, Error};
use tests::{Args, Frame, Lines, Raw, arith, eventually, listen, within};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

const MS: Duration = Duration::from_millis(1);
const IDLE: u8 = 5;

async fn multiply(client: Client) -> Result<i64, Error> {
    client.call("Arith.Multiply", Args { a: 7, b: 8 }).await
}

/// A client of a server that closes connections for disuse, which has closed its own.
async fn resting() -> (Client, SocketAddr) {
    let (address, _server) = listen(arith().idle_timeout(50 * MS)).await;
    let client = within(Client::connect(address)).await.unwrap();
    eventually("the client rests", || matches!(client.state(), ConnectionState::Idle)).await;
    (client, address)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future without a runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_without_a_runtime_may_make_the_call_that_ends_the_rest() {
    let (client, _) = resting().await;
    let called = spawn_blocking(move || block_on(multiply(client)));
    assert_eq!(within(called).await.unwrap().unwrap(), 56);
}

/// That runtime runs only while it makes its call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_stays_in_its_runtime_though_a_call_from_another_ends_the_rest() {
    let (client, _) = resting().await;
    let elsewhere = client.clone();
    let runtime = spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(multiply(elsewhere)).unwrap(), 56);
        runtime
    });
    let runtime = within(runtime).await.unwrap();
    assert_eq!(within(multiply(client.clone())).await.unwrap(), 56);
    spawn_blocking(move || drop(runtime)).await.unwrap();
    assert_eq!(within(multiply(client)).await.unwrap(), 56);
}

#[tokio::test]
async fn a_client_that_rests_can_be_closed() {
    let (client, _) = resting().await;
    within(client.close()).await.unwrap();
    assert!(matches!(within(multiply(client)).await, Err(Error::Shutdown { .. })));
}

#[tokio::test]
async fn who_watches_sees_the_rest_and_its_end() {
    let (client, _) = resting().await;
    let mut watch = client.watch_state();
    let call = tokio::spawn(multiply(client));
    within(async {
        while !matches!(watch.current(), ConnectionState::Ready) {
            assert!(watch.changed().await.is_some());
        }
    })
    .await;
    assert_eq!(within(call).await.unwrap().unwrap(), 56);
}

/// As one does whose time for disuse is shorter than a call's way.
#[tokio::test(start_paused = true)]
async fn a_server_that_closes_every_connection_at_once_is_not_dialled_for_ever() {
    for pings in [false, true] {
        let lines = Lines::default();
        let ends: Vec<_> = (0..100).map(|_| lines.lay()).collect();
        let client = Client::builder().seed(1).lazy_with(lines.clone(), "lines:1");
        let serve = tokio::spawn(async move {
            for end in ends {
                let mut raw = Raw::admit(end, "").await;
                raw.frame().await;
                raw.send(&Frame::new(Frame::GO_AWAY, 0, [IDLE])).await;
            }
        });
        let error = match pings {
            true => within(client.ping()).await.unwrap_err(),
            false => within(multiply(client).into_future()).await.unwrap_err(),
        };
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
        let dials = lines.dials().len();
        assert!((5..=6).contains(&dials), "{dials} dials");
        serve.abort();
    }
}
