//! Calls that are not ready at once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;

/// Doubles its argument once `gate` is open, or at once when the argument is not 0.
fn gated() -> (Driver, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let handlers = gate.clone();
    let driver = Driver::new(move |cx: Context, number: u32| {
        let gate = handlers.clone();
        async move {
            std::future::poll_fn(|_| {
                let open = number != 0 || gate.load(Ordering::Relaxed);
                if open { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            if number == 0 {
                cx.reply_metadata("late", "yes")?;
            }
            Ok::<_, Status>(number * 2)
        }
    });
    (driver, gate)
}

#[test]
fn a_detached_call_goes_on_while_the_lane_serves_others() {
    let (mut driver, gate) = gated();
    driver.begin(&0u32).unwrap();
    assert!(driver.poll().is_pending());
    let mut detached = driver.lane.detach();
    let id = detached.context().id();
    driver.still_serves();
    assert!(poll(&mut *detached).is_pending());
    gate.store(true, Ordering::Relaxed);
    assert!(poll(&mut *detached).is_ready());
    assert_eq!(detached.context().id(), id);

    let ended = detached.reply(LIMIT, &mut driver.out);
    assert_eq!(ended, Ended { code: None, panicked: false });
    driver.counter = id.counter();
    match driver.answer() {
        Answer::Result { metadata, body } => {
            assert_eq!((metadata.text("late"), body), (Some("yes"), vec![0]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_calls_of_one_lane_can_be_detached_and_end_in_any_order() {
    let (mut driver, gate) = gated();
    let mut detached: Vec<_> = (0..5)
        .map(|_| {
            driver.begin(&0u32).unwrap();
            assert!(driver.poll().is_pending());
            driver.lane.detach()
        })
        .collect();
    gate.store(true, Ordering::Relaxed);
    while let Some(mut last) = detached.pop() {
        assert!(poll(&mut *last).is_ready());
        last.reply(LIMIT, &mut driver.out);
        driver.counter = detached.len() as u64 + 1;
        driver.answer();
    }
}

#[test]
fn a_pending_call_can_stay_in_the_lane_until_it_is_ready() {
    let (mut driver, gate) = gated();
    driver.begin(&0u32).unwrap();
    assert!(driver.poll().is_pending());
    gate.store(true, Ordering::Relaxed);
    assert!(driver.poll().is_ready());
    assert!(matches!(driver.reply().1, Answer::Result { .. }));
}

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn failing_a_call_drops_its_handler_at_once_and_the_status_is_its_answer() {
    let drops = Arc::new(AtomicU32::new(0));
    let counted = drops.clone();
    let mut driver = Driver::new(move |_cx, (): ()| {
        let counted = Counted(counted.clone());
        async move {
            let _held = counted;
            std::future::pending::<()>().await;
            Ok::<_, Status>(())
        }
    });
    driver.begin(&()).unwrap();
    assert!(driver.poll().is_pending());
    let mut detached = driver.lane.detach();
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    detached.fail(Status::cancelled("the caller is gone"));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    let ended = detached.reply(LIMIT, &mut driver.out);
    let (_, status) = failure((ended, driver.answer()));
    assert_eq!(status, Status::cancelled("the caller is gone"));
}

#[test]
fn metadata_of_a_failed_call_goes_with_its_status_and_not_with_the_next_call() {
    let mut driver = Driver::new(|cx: Context, number: u32| async move {
        if number == 0 {
            cx.reply_metadata("k", "v")?;
            std::future::pending::<()>().await;
        }
        Ok::<_, Status>(number * 2)
    });
    driver.begin(&0u32).unwrap();
    assert!(driver.poll().is_pending());
    driver.lane.fail(Status::cancelled("gone"));
    let (_, status) = failure(driver.reply());
    assert_eq!(status.metadata().text("k"), Some("v"));
    driver.still_serves();
}
