//! Panics of the user's code: each fails its own call with `Internal`, and nothing else.

use super::*;

fn internal((ended, answer): (Ended, Answer)) {
    let (ended, status) = failure((ended, answer));
    assert_eq!((status.code(), status.message()), (Code::Internal, "the handler panicked"));
    assert!(ended.panicked);
}

/// Panics when it is dropped, if it says so.
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "dropped");
    }
}

#[test]
fn a_panic_in_a_handler_is_internal_and_the_lane_serves_the_next_call() {
    let mut driver = Driver::new(|_cx, number: u32| async move {
        assert!(number != 0, "zero");
        Ok::<_, Status>(number * 2)
    });
    internal(driver.call(&0u32));
    driver.still_serves();
}

#[test]
fn a_panic_before_the_handlers_future_is_internal_and_may_have_run() {
    let mut driver = Driver::new(|cx: Context, number: u32| {
        if number == 0 {
            cx.reply_metadata("k", "v").unwrap();
            panic!("zero");
        }
        async move { Ok::<_, Status>(number * 2) }
    });
    let status = driver.begin(&0u32).unwrap_err();
    assert_eq!((status.code(), status.executed()), (Code::Internal, Executed::Yes));
    driver.still_serves();
}

#[test]
fn a_call_that_failed_to_begin_can_be_failed_and_replied_to() {
    let mut driver = Driver::new(|_cx, number: u32| {
        assert!(number != 0, "zero");
        async move { Ok::<_, Status>(number * 2) }
    });
    let status = driver.begin(&0u32).unwrap_err();
    driver.lane.fail(status);
    internal(driver.reply());

    driver.open();
    let status = driver.lane.begin(Body::Borrowed(b"")).unwrap_err();
    driver.lane.fail(status);
    let (ended, status) = failure(driver.reply());
    assert_eq!((status.code(), status.executed()), (Code::InvalidArgument, Executed::No));
    assert!(!ended.panicked);
    driver.still_serves();
}

struct Picky(u32);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        assert!(number != 0, "zero");
        Ok(Self(number))
    }
}

#[test]
fn a_panic_in_deserialize_is_internal_and_the_lane_serves_the_next_call() {
    let mut driver = Driver::new(|_cx, picky: Picky| async move { Ok::<_, Status>(picky.0 * 2) });
    assert_eq!(driver.begin(&0u32).unwrap_err().code(), Code::Internal);
    driver.still_serves();
}

struct Shy(u32);

impl Serialize for Shy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != 0, "zero");
        self.0.serialize(serializer)
    }
}

#[test]
fn a_panic_in_serialize_is_internal_and_the_lane_serves_the_next_call() {
    let mut driver = Driver::new(|_cx, number: u32| async move { Ok::<_, Status>((Shy(1), Shy(number))) });
    internal(driver.call(&0u32));
    assert_eq!(driver.call(&4u32).1, Answer::Result { metadata: Metadata::EMPTY, body: vec![1, 4] });
}

#[test]
fn a_panic_when_the_handler_is_dropped_is_internal_and_the_lane_serves_the_next_call() {
    let mut driver = Driver::new(|_cx, number: u32| {
        let bomb = Bomb(number == 0);
        std::future::poll_fn(move |_| {
            let _held = &bomb;
            Poll::Ready(Ok::<_, Status>(number * 2))
        })
    });
    internal(driver.call(&0u32));
    driver.still_serves();
}

struct Heavy {
    number: u32,
    _bomb: Bomb,
}

impl Serialize for Heavy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number.serialize(serializer)
    }
}

fn heavy() -> Driver {
    Driver::new(|_cx, number: u32| async move {
        Ok::<_, Status>(Heavy { number: number * 2, _bomb: Bomb(number == 0) })
    })
}

#[test]
fn a_panic_when_the_reply_is_dropped_is_internal_and_the_only_answer() {
    let mut driver = heavy();
    internal(driver.call(&0u32));
    driver.still_serves();
}

#[test]
fn a_panic_when_the_reply_of_a_failed_call_is_dropped_stays_inside() {
    let mut driver = heavy();
    driver.begin(&0u32).unwrap();
    assert!(driver.poll().is_ready());
    driver.lane.fail(Status::cancelled("too late"));
    let (ended, status) = failure(driver.reply());
    assert_eq!((status, ended.panicked), (Status::cancelled("too late"), true));
    driver.still_serves();
}

#[test]
fn a_panic_when_a_failed_handler_is_dropped_does_not_change_the_status() {
    let mut driver = Driver::new(|_cx, number: u32| async move {
        let _bomb = Bomb(number == 0);
        if number == 0 {
            std::future::pending::<()>().await;
        }
        Ok::<_, Status>(number * 2)
    });
    driver.begin(&0u32).unwrap();
    assert!(driver.poll().is_pending());
    driver.lane.fail(Status::deadline_exceeded("late"));
    let (ended, status) = failure(driver.reply());
    assert_eq!((status, ended.panicked), (Status::deadline_exceeded("late"), true));
    driver.still_serves();
}

#[test]
fn a_panic_with_a_value_that_panics_in_turn_stays_inside() {
    let mut driver = Driver::new(|_cx, number: u32| async move {
        if number == 0 {
            std::panic::panic_any(Bomb(true));
        }
        Ok::<_, Status>(number * 2)
    });
    internal(driver.call(&0u32));
    driver.still_serves();
}

struct Touchy;

impl From<Touchy> for Status {
    fn from(_: Touchy) -> Self {
        panic!("touched")
    }
}

#[test]
fn a_panic_in_the_conversion_of_an_error_is_internal() {
    let mut driver =
        Driver::new(|_cx, number: u32| async move { if number == 0 { Err(Touchy) } else { Ok(number * 2) } });
    internal(driver.call(&0u32));
    driver.still_serves();
}
