//! With the clock stopped, a server does the same each time, however busy the machine is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::{Context, Status};
use rpc_server::{Ended, Interceptor};
use tests::{Frame, Gate, Raw, arith, join, pipe, within};

#[derive(Clone, Default)]
struct Elapsed(Arc<Mutex<Vec<Duration>>>);

impl Interceptor for Elapsed {
    fn after(&self, call: &Ended<'_>) {
        self.0.lock().unwrap().push(call.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn interceptors_time_calls_with_the_clock_of_the_runtime() {
    let seen = Elapsed::default();
    let wait = |_: Context, seconds: u64| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok::<_, Status>(())
    };
    let (client, _server) = join(arith().register_fn("Wait.For", wait).interceptor(seen.clone())).await;
    within(client.call::<_, ()>("Wait.For", 3u64)).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [Duration::from_secs(3)]);
}

#[tokio::test(start_paused = true)]
async fn calls_are_given_up_in_the_order_in_which_they_came() {
    let gate = Gate::new();
    let server = gate.register(arith()).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    for counter in 1..=50 {
        raw.send(&Frame::request(counter, "Gate.Pass", &1i64)).await;
        gate.entered().await;
    }
    tokio::spawn(async move { server.shutdown(Duration::ZERO).await });
    for counter in 1..=50u64 {
        assert_eq!(raw.call_frame().await.unwrap().id, counter << 16);
    }
}
