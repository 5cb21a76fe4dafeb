//! Calls that fail in good order.

use serde::ser::SerializeSeq;

use super::*;

#[test]
fn a_plain_error_of_the_handler_is_unknown_with_its_text() {
    let mut driver = Driver::new(|_cx, text: String| async move { Ok::<i64, Status>(text.parse()?) });
    let (ended, status) = failure(driver.call(&"x"));
    assert_eq!((status.code(), status.message()), (Code::Unknown, "invalid digit found in string"));
    assert_eq!((status.executed(), ended.panicked), (Executed::Yes, false));
}

#[test]
fn a_status_of_the_handler_crosses_whole_but_it_has_always_run() {
    let mut driver = Driver::new(|_cx, (): ()| async move {
        let status = Status::aborted("again").with_details(&b"row 7"[..]);
        Err::<(), _>(status.with_executed(Executed::No))
    });
    let (_, status) = failure(driver.call(&()));
    assert_eq!(status, Status::aborted("again").with_details(&b"row 7"[..]));
    assert_eq!(status.executed(), Executed::Yes);
}

#[test]
fn arguments_that_do_not_decode_are_invalid_and_the_handler_has_not_run() {
    for body in [&b""[..], b"\xff", b"\x02\x02"] {
        let mut driver = Driver::new(|_cx, number: u32| async move { Ok::<_, Status>(number * 2) });
        driver.open();
        let status = driver.lane.begin(Body::Borrowed(body)).unwrap_err();
        assert_eq!((status.code(), status.executed()), (Code::InvalidArgument, Executed::No));
        assert!(status.message().starts_with("arguments of Test.Method do not decode: "), "{status}");
        driver.still_serves();
    }
}

struct Endless;

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_seq(None)?.end()
    }
}

#[test]
fn a_reply_that_cannot_be_encoded_is_internal() {
    let mut driver = Driver::new(|_cx, (): ()| async move { Ok::<_, Status>(Endless) });
    let (ended, status) = failure(driver.call(&()));
    assert_eq!((status.code(), status.executed()), (Code::Internal, Executed::Yes));
    assert!(status.message().starts_with("the reply could not be encoded: "), "{status}");
    assert!(!ended.panicked);
}

#[test]
fn a_reply_over_the_callers_limit_is_resource_exhausted_and_has_run() {
    let mut driver = Driver::new(|_cx, len: usize| async move { Ok::<_, Status>("x".repeat(len)) });
    driver.limit = 1 << 16;
    // The header, and three bytes for the length of the text.
    let room = driver.limit as usize - 10 - 3;
    assert!(matches!(driver.call(&room).1, Answer::Result { .. }));
    let (_, status) = failure(driver.call(&(room + 1)));
    assert_eq!((status.code(), status.executed()), (Code::ResourceExhausted, Executed::Yes));
    assert_eq!(status.message(), "reply of 65537 bytes is over the caller's limit of 65536");
}

#[test]
fn a_shared_reply_over_the_callers_limit_is_resource_exhausted() {
    let mut driver =
        Driver::new(|_cx, len: usize| async move { Ok::<_, Status>(bytes::Bytes::from(vec![0; len])) });
    driver.limit = 1 << 16;
    let (_, status) = failure(driver.call(&(1usize << 16)));
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[test]
fn a_status_over_the_callers_limit_is_replaced_by_a_short_one() {
    let mut driver = Driver::new(|_cx, len: usize| async move {
        Err::<(), _>(Status::not_found("gone").with_details(vec![0; len]))
    });
    driver.limit = 1 << 16;
    driver.begin(&(1usize << 16)).unwrap();
    assert!(driver.poll().is_ready());
    match driver.reply().1 {
        Answer::Failure(status) => {
            assert_eq!((status.code(), status.executed()), (Code::ResourceExhausted, Executed::Yes));
            assert!(status.message().contains("(NotFound)"), "{status}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_result_that_fits_only_without_its_metadata_is_resource_exhausted() {
    let mut driver = Driver::new(|cx: Context, (): ()| async move {
        cx.reply_metadata("k", vec![0; 65_000])?;
        Ok::<_, Status>("x".repeat(600))
    });
    driver.limit = 1 << 16;
    let (_, status) = failure(driver.call(&()));
    assert_eq!(status.code(), Code::ResourceExhausted);
}
