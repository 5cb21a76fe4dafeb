//! Calls that end well.

use std::io::IoSlice;
use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::body::LARGE_BODY;
use crate::cancel::CancelReason;

#[test]
fn a_result_is_the_response() {
    let mut driver = Driver::new(|_cx, (a, b): (i64, i64)| async move { Ok::<_, Status>(a * b) });
    let (ended, answer) = driver.call(&(7i64, 8i64));
    assert_eq!(ended, Ended { code: None, panicked: false });
    assert_eq!(answer, Answer::Result { metadata: Metadata::EMPTY, body: vec![112] });
}

#[test]
fn the_context_tells_the_call() {
    let mut driver = Driver::new(|cx: Context, (): ()| async move {
        let tenant = cx.metadata().text("tenant").map(str::to_owned);
        Ok::<_, Status>((cx.method().to_owned(), cx.id().counter(), cx.deadline().is_some(), tenant))
    });
    let mut metadata = Metadata::new();
    metadata.insert("tenant", "a").unwrap();
    driver.counter = 9;
    driver.lane.open(CallId::client(9, 0), Some(Instant::now()), metadata, None);
    driver.lane.begin(Body::Borrowed(b"")).unwrap();
    assert!(driver.poll().is_ready());
    match driver.reply().1 {
        Answer::Result { body, .. } => assert_eq!(body, b"\x0bTest.Method\x09\x01\x01\x01a"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_handlers_metadata_goes_beside_its_own_result_only() {
    let mut driver = Driver::new(|cx: Context, tell: bool| async move {
        if tell {
            cx.reply_metadata("k", "v")?;
        }
        Ok::<_, Status>(1u8)
    });
    let mut expected = Metadata::new();
    expected.insert("k", "v").unwrap();
    for (tell, metadata) in [(true, expected), (false, Metadata::EMPTY)] {
        assert_eq!(driver.call(&tell).1, Answer::Result { metadata, body: vec![1] });
    }
}

#[test]
fn the_handlers_metadata_goes_beside_its_error_too() {
    let mut driver = Driver::new(|cx: Context, (): ()| async move {
        cx.reply_metadata("k", "v")?;
        Err::<(), _>(Status::not_found("gone"))
    });
    let (_, status) = failure(driver.call(&()));
    assert_eq!((status.code(), status.metadata().text("k")), (Code::NotFound, Some("v")));
}

#[test]
fn a_large_reply_of_bytes_goes_out_shared() {
    let picture = Bytes::from(vec![7; LARGE_BODY]);
    let place = picture.as_ptr();
    let mut driver = Driver::new(move |_cx, (): ()| {
        let picture = picture.clone();
        async move { Ok::<_, Status>(picture) }
    });
    driver.begin(&()).unwrap();
    assert!(driver.poll().is_ready());
    driver.lane.reply(LIMIT, &mut driver.out);
    let mut slices = [IoSlice::new(&[]); 4];
    let count = driver.out.slices(&mut slices);
    assert!(slices[..count].iter().any(|slice| slice.as_ptr() == place && slice.len() == LARGE_BODY));
}

#[test]
fn a_context_that_outlives_its_call_is_told_that_the_call_is_over() {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let mut driver = Driver::new(move |cx: Context, (): ()| {
        *keep.lock().unwrap() = Some(cx);
        async move { Ok::<_, Status>(()) }
    });
    driver.begin(&()).unwrap();
    assert!(driver.poll().is_ready());
    assert_eq!(kept.lock().unwrap().as_ref().unwrap().cancel_reason(), None);
    driver.reply();
    let kept = kept.lock().unwrap().take().unwrap();
    assert_eq!((kept.id().counter(), kept.cancel_reason()), (1, Some(CancelReason::Ended)));
    driver.call(&());
}
