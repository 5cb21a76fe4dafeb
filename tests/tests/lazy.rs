//! Connections that are made when they are first needed. The time is paused: it is the subject.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use rpc_client::{Client, Connector, Error};
use rpc_core::Executed;
use rpc_server::Server;
use tests::{Args, arith, pipe, within};
use tokio::io::DuplexStream;

const SECOND: Duration = Duration::from_secs(1);
const SEVEN_AND_EIGHT: Args = Args { a: 7, b: 8 };

/// Takes its time, and then has a pipe to the server, or fails where there is none.
#[derive(Clone)]
struct Slow {
    takes: Duration,
    server: Option<Server>,
    dials: Arc<AtomicUsize>,
}

impl Slow {
    fn new(takes: Duration, server: Option<Server>) -> Self {
        Self { takes, server, dials: Arc::default() }
    }

    fn client(&self) -> Client {
        Client::builder().lazy_with(self.clone(), "slow:1")
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }
}

impl Connector for Slow {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.server.as_ref().map(pipe).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_waited_for_a_failed_dial_fail_with_it_and_do_not_dial_in_turn() {
    let slow = Slow::new(SECOND, None);
    let (client, begun) = (slow.client(), tokio::time::Instant::now());
    let calls = (0..20).map(|_| client.call::<_, i64>("Any.Name", 1).into_future());
    for outcome in within(join_all(calls)).await {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert_eq!(error.executed(), Executed::No);
    }
    assert_eq!((slow.dials(), begun.elapsed().as_secs()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dial_goes_on_though_the_time_of_the_call_that_began_it_is_up() {
    let slow = Slow::new(3 * SECOND, Some(arith().build().unwrap()));
    let client = slow.client();
    let call = || client.call::<_, i64>("Arith.Multiply", SEVEN_AND_EIGHT).timeout(2 * SECOND);
    let error = within(call()).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(within(call()).await.unwrap(), 56);
    assert_eq!(slow.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_goes_on_though_the_call_that_began_it_was_dropped() {
    let slow = Slow::new(3 * SECOND, Some(arith().build().unwrap()));
    let client = slow.client();
    let mut first = client.call::<_, i64>("Arith.Multiply", SEVEN_AND_EIGHT).into_future();
    assert!(poll!(&mut first).is_pending());
    tokio::time::sleep(2 * SECOND).await;
    drop(first);
    let call = client.call::<_, i64>("Arith.Multiply", SEVEN_AND_EIGHT).timeout(2 * SECOND);
    assert_eq!(within(call).await.unwrap(), 56);
    assert_eq!(slow.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_calls_that_wait_for_a_dial_which_does_not_end() {
    let slow = Slow::new(Duration::MAX, None);
    let client = slow.client();
    let mut call = client.call::<_, i64>("Any.Name", 1).into_future();
    assert!(poll!(&mut call).is_pending());
    tokio::time::sleep(SECOND).await;
    assert!(!client.is_closed());
    within(client.close()).await.unwrap();
    assert!(client.is_closed());
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::Shutdown { executed: Executed::No, .. }), "{error:?}");
    assert_eq!(slow.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_no_server_can_have_is_named_before_anybody_is_dialled() {
    let slow = Slow::new(SECOND, None);
    let builder = || Client::builder().path("/a b");
    let (near, _far) = tokio::io::duplex(100);
    for error in [
        within(builder().over(near)).await.unwrap_err(),
        within(builder().connect_with(slow.clone(), "slow:1")).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("/a b"), "{error}");
    }
    let client = builder().lazy_with(slow.clone(), "slow:1");
    let error = within(client.call::<_, i64>("Any.Name", 1)).await.unwrap_err();
    assert!(error.to_string().contains("/a b"), "{error}");
    assert_eq!(slow.dials(), 0);
}

#[test]
fn what_a_builder_shows_of_itself_holds_no_credentials() {
    let builder = Client::builder().header(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2"));
    assert!(!format!("{builder:?}").contains("hunter2"));
}
