//! Panics of the user's code outside of a handler's own run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use rpc_client::Client;
use rpc_core::{Code, Context, Executed, Status};
use rpc_server::{Builder, Interceptor};
use tests::{Args, Frame, Gate, Raw, arith, join, pipe, within};

/// Panics before divisions and after multiplications.
struct Panics;

impl Interceptor for Panics {
    fn before(&self, cx: &Context) -> Result<(), Status> {
        assert_ne!(cx.method(), "Arith.Divide");
        Ok(())
    }

    fn after(&self, call: &rpc_server::Ended<'_>) {
        assert_ne!(call.method, "Arith.Multiply");
    }
}

#[tokio::test]
async fn a_panic_in_an_interceptor_ends_at_most_its_own_call() {
    let gate = Gate::new();
    let (client, server) = join(gate.register(arith()).interceptor(Panics)).await;
    let neighbour = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    let args = Args { a: 7, b: 8 };
    let error = within(client.call::<_, (i64, i64)>("Arith.Divide", args)).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::Internal);
    assert_eq!(error.executed(), Executed::No);
    assert_eq!(within(client.call::<_, i64>("Arith.Multiply", args)).await.unwrap(), 56);
    gate.open(1);
    assert_eq!(within(neighbour).await.unwrap(), 1);
    assert_eq!(server.connections(), 1);
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor")
    }
}

/// Adds a method that never ends, and panics when it is dropped.
fn bomb(builder: Builder) -> Builder {
    builder.register_fn("Bomb.Tick", |_: Context, (): ()| async {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
        Ok::<_, Status>(())
    })
}

/// Two panics at once would end the process.
#[tokio::test]
async fn handlers_that_panic_when_their_connection_drops_them_leave_nothing_behind() {
    let gate = Gate::new();
    // Room for these calls, with their overhead of 1 KiB each.
    let server = bomb(gate.register(arith())).max_memory(6 * 1100).build().unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_connection(far).await });
    let mut raw = Raw::enter(near, "").await;
    for counter in 1..=6 {
        match counter % 3 {
            0 => raw.send(&Frame::request(counter, "Bomb.Tick", &())).await,
            _ => raw.send(&Frame::request(counter, "Gate.Pass", &1i64)).await,
        }
    }
    raw.send(&Frame::new(Frame::PING, 7, [])).await;
    assert_eq!(raw.frame().await.kind, Frame::PONG, "none of them was refused");
    served.abort();
    let _ = within(served).await;
    for _ in 0..4 {
        gate.dropped().await;
    }
    assert_eq!(server.connections(), 0);
    assert!(server.stats().iter().all(|stats| stats.in_flight == 0), "{:?}", server.stats());

    let client = within(Client::new(pipe(&server))).await.unwrap();
    let calls: Vec<_> = (1..=6).map(|number| client.start::<i64>("Gate.Pass", number)).collect();
    gate.open(6);
    for (number, call) in (1..).zip(calls) {
        assert_eq!(within(call).await.unwrap(), number, "their memory is there again");
    }
}

#[tokio::test]
async fn handlers_that_panic_when_their_connection_is_ended_do_not_end_the_server() {
    let server = bomb(arith()).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    raw.send(&Frame::request(1, "Bomb.Tick", &())).await;
    raw.send(&Frame::request(2, "Bomb.Tick", &())).await;
    raw.send(&Frame::new(0x7f, 0, [])).await;
    assert_eq!(raw.frame().await.kind, Frame::GO_AWAY);
    assert_eq!(raw.next().await, None);
    drop(raw);
    tests::eventually("the calls are over", || {
        server.connections() == 0 && server.stats().iter().all(|stats| stats.in_flight == 0)
    })
    .await;
    let client = within(Client::new(pipe(&server))).await.unwrap();
    assert_eq!(within(client.call::<_, i64>("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap(), 56);
}
