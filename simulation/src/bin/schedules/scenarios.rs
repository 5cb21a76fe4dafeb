//! Who does what at once. A scenario ends when all have ended; shuttle reports one in which nobody can
//! go on.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rpc_core::client::Outcome;
use rpc_core::limits::Limits;
use shuttle::rand::{Rng, thread_rng};

use crate::caller::{Caller, End};
use crate::cancel::{CancelReason, Signal};
use crate::executor::{block_on, join, spawn};
use crate::shared::Shared;
use crate::task::{Habit, Task};
use crate::wire;

pub(crate) const SCENARIOS: [(&str, fn()); 12] = [
    ("answers", answers),
    ("callers who give up", giving_up),
    ("started calls", started),
    ("time that runs out", expiring),
    ("time that runs out unsent", expiring_unsent),
    ("a server that goes away", going_away),
    ("a connection that is lost", losing),
    ("a client that is closed", closing),
    ("pings", pinging),
    ("a call's signal", signalling),
    ("a stream", wire::echoing),
    ("a stream that is given up", wire::giving_up),
];

/// A connection with room for so many calls.
struct Stage {
    shared: Arc<Shared>,
    task: Task,
}

fn stage(room: u32, habit: Habit) -> Stage {
    let limits = Limits { max_calls: room, ..Limits::default() };
    let shared = Arc::new(Shared::new(limits, Limits::default()));
    let task = Task::new(&shared, limits, habit);
    Stage { shared, task }
}

fn answered(end: &End) -> bool {
    matches!(end, End::Outcome(Outcome::Response { .. }))
}

/// More callers than room: each gets its own answer.
pub(crate) fn answers() {
    let Stage { shared, task } = stage(2, Habit::Faithful);
    let task = spawn(task);
    let callers = [1, 2, 3].map(|body| {
        let shared = shared.clone();
        spawn(async move {
            assert!(answered(&Caller::new(&shared, body, None).await));
            assert!(answered(&Caller::new(&shared, body + 10, None).await));
        })
    });
    join(callers);
    assert!(shared.close());
    join([task]);
}

/// Some leave, from wherever they are; those who stay are answered all the same.
fn giving_up() {
    let Stage { shared, task } = stage(1, Habit::Faithful);
    let task = spawn(task);
    let callers = [1, 2, 3, 4].map(|body| {
        let shared = shared.clone();
        spawn(async move {
            if body == 1 {
                assert!(answered(&Caller::new(&shared, body, None).await));
                return;
            }
            let mut caller = Caller::new(&shared, body, None);
            for _ in 0..thread_rng().gen_range(1..4) {
                if poll_fn(|cx| Poll::Ready(Pin::new(&mut caller).poll(cx).is_ready())).await {
                    return;
                }
                shuttle::thread::yield_now();
            }
            drop(caller);
            assert!(answered(&Caller::new(&shared, body + 10, None).await));
        })
    });
    join(callers);
    shared.close();
    join([task]);
}

/// Calls that were submitted without a waker, and polled later.
fn started() {
    let Stage { shared, task } = stage(2, Habit::Faithful);
    let task = spawn(task);
    let callers = [1, 2, 3].map(|body| {
        let caller = Caller::new(&shared, body, None).start();
        spawn(async move { assert!(answered(&caller.await)) })
    });
    join(callers);
    shared.close();
    join([task]);
}

/// Nobody answers.
fn expiring() {
    expire(Habit::Silent);
}

/// Nobody even reads: the task has no reason to wake but the deadline itself.
fn expiring_unsent() {
    expire(Habit::Stuck);
}

fn expire(habit: Habit) {
    let Stage { shared, task } = stage(2, habit);
    let began = task.now();
    let task = spawn(task);
    let callers = [1, 2].map(|body| {
        let shared = shared.clone();
        spawn(async move {
            let deadline = began + Duration::from_secs(u64::from(body));
            let end = Caller::new(&shared, body, Some(deadline)).await;
            assert!(matches!(end, End::Outcome(Outcome::Expired)), "{end:?}");
        })
    });
    join(callers);
    shared.close();
    join([task]);
}

/// Those in flight are answered, the others are told.
fn going_away() {
    let Stage { shared, task } = stage(1, Habit::GoesAway);
    let task = spawn(task);
    let callers = [1, 2, 3].map(|body| {
        let shared = shared.clone();
        spawn(async move {
            for again in [0, 10] {
                if !answered(&Caller::new(&shared, body + again, None).await) {
                    assert!(shared.is_over());
                    return;
                }
            }
        })
    });
    join(callers);
    shared.close();
    join([task]);
}

/// The connection ends at any moment: everybody hears of it, in flight or in the queue.
fn losing() {
    let Stage { shared, task } = stage(1, Habit::Leaves);
    let task = spawn(task);
    let callers = [1, 2, 3].map(|body| {
        let shared = shared.clone();
        spawn(async move { while answered(&Caller::new(&shared, body, None).await) {} })
    });
    // What wakes the task when nobody calls any more: the end of a read, which here is a turn.
    let closes = shared.clone();
    join(callers);
    closes.close();
    join([task]);
}

/// The client is closed at any moment, by two at once.
fn closing() {
    let Stage { shared, task } = stage(1, Habit::Faithful);
    let task = spawn(task);
    let callers = [1, 2, 3].map(|body| {
        let shared = shared.clone();
        spawn(async move { drop(Caller::new(&shared, body, None).await) })
    });
    let closers = [(), ()].map(|()| {
        let shared = shared.clone();
        spawn(async move { usize::from(shared.close()) })
    });
    assert_eq!(join(closers).iter().sum::<usize>(), 1, "one of them was the first");
    join(callers);
    join([task]);
    let late = block_on(Caller::new(&shared, 9, None));
    assert!(matches!(late, End::Lost(_)), "{late:?}");
}

/// Pings beside calls, and some that nobody waits for.
fn pinging() {
    let Stage { shared, task } = stage(2, Habit::Faithful);
    let began = task.now();
    let task = spawn(task);
    let caller = spawn({
        let shared = shared.clone();
        async move { assert!(answered(&Caller::new(&shared, 1, None).await)) }
    });
    let pings = [true, true, false].map(|waits| {
        let shared = shared.clone();
        spawn(async move {
            let number = shared.ping(began).expect("the connection is there").expect("so few are borne");
            if waits {
                poll_fn(|cx| shared.poll_pong(number, cx.waker())).await.expect("the connection is there");
            }
            shared.forget_ping(number);
        })
    });
    join(pings);
    join([caller]);
    shared.close();
    join([task]);
}

/// Cancelled from two sides, seen by some who wait and one who does not wait for long.
fn signalling() {
    let signal = Arc::new(Signal::default());
    let waiting = [true, true, false].map(|stays| {
        let signal = signal.clone();
        spawn(async move {
            let mut key = None;
            let reason = match stays {
                true => Some(poll_fn(|cx| signal.poll(&mut key, cx)).await),
                false => poll_fn(|cx| Poll::Ready(signal.poll(&mut key, cx)))
                    .await
                    .is_ready()
                    .then_some(CancelReason::Ended),
            };
            signal.forget(key);
            reason.filter(|_| stays)
        })
    });
    let firing = [CancelReason::Caller, CancelReason::Deadline].map(|reason| {
        let signal = signal.clone();
        spawn(async move { signal.fire(reason) })
    });
    join(firing);
    let first = signal.reason();
    assert!(first.is_some());
    let seen = join(waiting);
    assert_eq!(seen, [first, first, None]);
}
