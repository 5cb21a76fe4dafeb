//! Handlers that compute for too long get tasks of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_core::{Context, Status};
use rpc_server::Builder;
use tests::{arith, join, within};
use tokio::task::Id;

type Tasks = Arc<Mutex<HashSet<Option<Id>>>>;

/// A method that says in which tasks it ran, and may compute for longer than it should.
fn think(builder: Builder, pause: bool) -> (Builder, Tasks) {
    let tasks = Tasks::default();
    let seen = tasks.clone();
    let think = move |_: Context, slow: bool| {
        let seen = seen.clone();
        async move {
            if pause {
                tokio::task::yield_now().await;
            }
            seen.lock().unwrap().insert(tokio::task::try_id());
            let begun = Instant::now();
            while slow && begun.elapsed() < Duration::from_millis(3) {
                std::hint::spin_loop();
            }
            Ok::<_, Status>(())
        }
    };
    (builder.register_fn("Slow.Think", think), tasks)
}

#[tokio::test]
async fn one_that_computes_after_a_pause_is_noticed_too() {
    let (builder, tasks) = think(arith(), true);
    let (client, _server) = join(builder).await;
    for _ in 0..10 {
        within(client.call::<_, ()>("Slow.Think", true)).await.unwrap();
    }
    tasks.lock().unwrap().clear();
    for _ in 0..5 {
        within(client.call::<_, ()>("Slow.Think", false)).await.unwrap();
    }
    assert_eq!(tasks.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn one_that_is_slow_now_and_then_stays_where_it_is() {
    for pause in [false, true] {
        let (builder, tasks) = think(arith(), pause);
        let (client, _server) = join(builder).await;
        for _ in 0..6 {
            within(client.call::<_, ()>("Slow.Think", true)).await.unwrap();
            for _ in 0..20 {
                within(client.call::<_, ()>("Slow.Think", false)).await.unwrap();
            }
        }
        assert_eq!(tasks.lock().unwrap().len(), 1);
    }
}

/// Otherwise a replay on a busy machine would run its handlers elsewhere than the first run did.
#[tokio::test(start_paused = true)]
async fn none_is_slow_while_the_clock_stands_still() {
    for pause in [false, true] {
        let (builder, tasks) = think(arith(), pause);
        let (client, _server) = join(builder).await;
        for _ in 0..10 {
            within(client.call::<_, ()>("Slow.Think", true)).await.unwrap();
        }
        assert_eq!(tasks.lock().unwrap().len(), 1);
    }
}
