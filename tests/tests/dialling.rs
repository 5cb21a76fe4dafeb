//! Connectors that are slow, that fail at once, that panic; runtimes that end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rpc_client::{Client, ConnectError, Connector, Error};
use rpc_core::Executed;
use tests::{Raw, within};
use tokio::io::DuplexStream;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// So many dials are more than any client may make; what comes after them only waits.
const TOO_MANY: u32 = 1000;

/// What becomes of each dial.
#[derive(Clone, Copy)]
enum Way {
    /// Connected after so long, to a server that accepts and hangs up.
    HungUp(Duration),
    Refused,
    Panic,
}

#[derive(Clone)]
struct Dialling {
    way: Way,
    dials: Arc<AtomicU32>,
}

impl Dialling {
    fn new(way: Way) -> Self {
        Self { way, dials: Arc::default() }
    }

    fn dials(&self) -> u32 {
        self.dials.load(Ordering::Relaxed)
    }
}

impl Connector for Dialling {
    type Io = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        if self.dials.fetch_add(1, Ordering::Relaxed) >= TOO_MANY {
            pending::<()>().await;
        }
        match self.way {
            Way::HungUp(after) => {
                sleep(after).await;
                let (near, far) = tokio::io::duplex(4096);
                tokio::spawn(async move { drop(Raw::admit(far, "").await) });
                Ok(near)
            }
            Way::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            Way::Panic => panic!("a connector that panics"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_distant_server_that_takes_connections_and_drops_them_is_not_hammered() {
    let dialling = Dialling::new(Way::HungUp(200 * MS));
    let client = Client::builder().seed(1).lazy_with(dialling.clone(), "far:1");
    client.ping().await.unwrap_err();
    sleep(10_000 * MS).await;
    assert!(dialling.dials() < 12, "{}", dialling.dials());
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_zero_is_a_wait_all_the_same() {
    let dialling = Dialling::new(Way::Refused);
    let client =
        Client::builder().backoff(Duration::ZERO, Duration::ZERO).lazy_with(dialling.clone(), "none:1");
    client.ping().await.unwrap_err();
    sleep(100 * MS).await;
    assert!((10..=110).contains(&dialling.dials()), "{}", dialling.dials());
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_has_failed_and_is_asked_again_after_the_wait() {
    let dialling = Dialling::new(Way::Panic);
    let client = Client::builder().seed(1).lazy_with(dialling.clone(), "panic:1");
    let error = within(client.call::<_, i64>("Any.Name", 1)).await.unwrap_err();
    assert_eq!(dialling.dials(), 1);
    let Error::Connect { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, ConnectError::Dial { .. }), "{error}");
    sleep(1000 * MS).await;
    assert!((3..8).contains(&dialling.dials()), "{}", dialling.dials());
}

#[test]
fn a_call_in_a_runtime_that_has_ended_fails() {
    let (told, outcome) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let client = Client::lazy("127.0.0.1:1");
        let call = client.call::<_, i64>("Any.Name", 1).into_future();
        told.send(handle.block_on(call)).unwrap();
    });
    let error = outcome.recv_timeout(Duration::from_secs(20)).expect("an end").unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(error.executed(), Executed::No);
}
