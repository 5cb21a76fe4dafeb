//! What a caller gets.

use super::*;
use crate::body::LARGE_BODY;
use crate::status::Code;

#[test]
fn answers_reach_their_calls_in_any_order() {
    let mut client = Client::new();
    let ids = [client.open(), client.open(), client.open(), client.open()];
    for (at, id) in ids.into_iter().enumerate().rev() {
        client.respond(id, &[at as u8]);
        assert_eq!(client.calls.in_flight(), at as u32);
    }
    for (at, id) in ids.into_iter().enumerate() {
        assert_eq!(client.body(id), [at as u8]);
    }
}

#[test]
fn a_call_is_woken_once_by_its_own_answer_and_by_no_other() {
    let mut client = Client::new();
    let (mine, other) = (client.open(), client.open());
    let wakes = Arc::new(Wakes::default());
    assert!(client.calls.poll(mine, &wakes.waker(), &mut Vec::new(), &mut None).is_pending());
    client.respond(other, b"");
    assert_eq!(client.woken.len(), 0);
    client.respond(mine, b"");
    client.woken.drain(..).for_each(Waker::wake);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_woken() {
    let mut client = Client::new();
    let id = client.open();
    let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    for wakes in [&first, &last] {
        assert!(client.calls.poll(id, &wakes.waker(), &mut Vec::new(), &mut None).is_pending());
    }
    client.respond(id, b"");
    client.woken.drain(..).for_each(Waker::wake);
    assert_eq!((first.count(), last.count()), (0, 1));
}

#[test]
fn a_waker_given_at_open_needs_no_poll_before_the_answer() {
    let mut client = Client::new();
    let wakes = Arc::new(Wakes::default());
    let head = RequestHead { method: "A.B", time_left: None, metadata: &Metadata::EMPTY, stream: None };
    let id = client.calls.open(head, b"", None, Some(wakes.waker()), &mut client.out, 0).unwrap();
    client.respond(id, b"");
    client.woken.drain(..).for_each(Waker::wake);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn a_small_answer_is_swapped_with_the_callers_buffer() {
    let mut client = Client::new();
    client.buffer = Vec::with_capacity(100);
    let callers = client.buffer.as_ptr();
    let id = client.open();
    client.respond(id, b"small");
    let slots = client.calls.slots[0].buffer.as_ptr();
    assert_eq!(client.body(id), b"small");
    assert_eq!(client.buffer.as_ptr(), slots);
    assert_eq!(client.calls.slots[0].buffer.as_ptr(), callers);
}

#[test]
fn a_slot_does_not_keep_the_memory_of_a_larger_answer() {
    let mut client = Client::new();
    client.buffer = Vec::with_capacity(slot::KEPT_LARGE + 1);
    let id = client.open();
    client.respond(id, b"small");
    client.body(id);
    assert_eq!(client.calls.slots[0].buffer.capacity(), 0);
}

#[test]
fn a_burst_of_calls_leaves_little_memory_behind() {
    let mut client = Client::with_room_for(1024);
    let ids: Vec<_> = (0..1024).map(|_| client.open()).collect();
    for id in ids {
        client.buffer = Vec::with_capacity(slot::KEPT_LARGE);
        client.respond(id, b"small");
        client.body(id);
    }
    let kept: usize = client.calls.slots.iter().map(|slot| slot.buffer.capacity()).sum();
    assert!(kept <= 1 << 20, "{kept}");
}

#[test]
fn a_large_answer_stays_shared() {
    let mut client = Client::new();
    let id = client.open();
    let large = Bytes::from(vec![7; LARGE_BODY]);
    let frame = Frame { kind: Kind::Response, flags: 0, id, body: Body::Owned(large.clone()) };
    client.calls.receive(frame, client.now, &mut client.woken).unwrap();
    match client.poll(id) {
        Poll::Ready(Outcome::Response { large: Some(bytes), .. }) => {
            assert_eq!(bytes.as_ptr(), large.as_ptr());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn metadata_stands_before_the_answer_and_is_not_part_of_it() {
    let mut client = Client::new();
    let id = client.open();
    client.receive(Kind::Response, flags::METADATA, id, b"\0\x06\x01k\0\x02vvbody").unwrap();
    match client.poll(id) {
        Poll::Ready(Outcome::Response { metadata, .. }) => assert_eq!(metadata.text("k"), Some("vv")),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.buffer, b"body");
}

#[test]
fn metadata_of_an_answer_that_is_none_is_left_out_and_the_answer_stands() {
    let mut client = Client::new();
    let id = client.open();
    client.receive(Kind::Response, flags::METADATA, id, b"\0\x04\x01K\0\0body").unwrap();
    match client.poll(id) {
        Poll::Ready(Outcome::Response { metadata, .. }) => assert!(metadata.is_empty()),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.buffer, b"body");
}

#[test]
fn a_status_comes_back_with_all_its_parts() {
    let mut client = Client::new();
    let id = client.open();
    client.receive(Kind::Status, flags::METADATA, id, b"\0\x05\x01k\0\x01v\x05\0\0\0\0\x04gonemore").unwrap();
    match client.poll(id) {
        Poll::Ready(Outcome::Status(status)) => {
            assert_eq!((status.code(), status.executed()), (Code::NotFound, Executed::No));
            assert_eq!((status.message(), status.details()), ("gone", &b"more"[..]));
            assert_eq!(status.metadata().text("k"), Some("v"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_status_of_another_version_is_unknown_and_maybe_executed() {
    let mut client = Client::new();
    let id = client.open();
    client.receive(Kind::Status, 0, id, b"\xc8\x09\0\0\0\x03\xffab").unwrap();
    match client.poll(id) {
        Poll::Ready(Outcome::Status(status)) => {
            assert_eq!((status.code(), status.executed()), (Code::Unknown, Executed::Maybe));
            assert_eq!(status.message(), "\u{fffd}ab");
        }
        other => panic!("{other:?}"),
    }
}
