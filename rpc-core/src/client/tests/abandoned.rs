//! Calls whose callers are gone.

use super::*;

#[test]
fn abandoning_an_open_call_sends_one_cancel() {
    let mut client = Client::new();
    let id = client.open();
    client.sent();
    client.calls.abandon(id, &mut client.out);
    client.calls.abandon(id, &mut client.out);
    assert_eq!(client.sent(), [Sent { kind: Kind::Cancel, flags: 0, id, body: Vec::new() }]);
}

#[test]
fn an_abandoned_call_holds_its_slot_and_its_count_until_the_terminal_frame() {
    let mut client = Client::with_room_for(1);
    let id = client.open();
    client.calls.abandon(id, &mut client.out);
    assert_eq!((client.calls.in_flight(), client.calls.room()), (1, 0));
    assert_eq!(client.try_open("A.B", b""), Err(OpenError::Full));
    client.respond(id, b"late");
    assert_eq!((client.calls.in_flight(), client.calls.room()), (0, 1));
    assert_eq!(client.open().slot(), id.slot());
}

#[test]
fn abandoning_a_call_that_has_ended_sends_nothing_and_frees_its_slot() {
    let mut client = Client::new();
    let id = client.open();
    client.sent();
    client.respond(id, b"");
    client.calls.abandon(id, &mut client.out);
    assert_eq!(client.sent(), []);
    assert_eq!(client.open().slot(), id.slot());
}

#[test]
fn abandoning_a_taken_call_does_not_touch_the_next_one_in_its_slot() {
    let mut client = Client::new();
    let old = client.open();
    client.respond(old, b"");
    client.body(old);
    let new = client.open();
    client.sent();
    client.calls.abandon(old, &mut client.out);
    assert_eq!(client.sent(), []);
    client.respond(new, b"new");
    assert_eq!(client.body(new), b"new");
}

#[test]
fn the_waker_of_an_abandoned_call_is_handed_back_and_never_woken() {
    let mut client = Client::new();
    let id = client.open();
    let wakes = Arc::new(Wakes::default());
    assert!(client.calls.poll(id, &wakes.waker(), &mut Vec::new(), &mut None).is_pending());
    let waker = client.calls.abandon(id, &mut client.out).expect("the waker");
    assert!(waker.will_wake(&wakes.waker()));
    client.respond(id, b"");
    assert_eq!((client.woken.len(), wakes.count()), (0, 0));
}

#[test]
fn abandoned_calls_end_with_the_connection() {
    let mut client = Client::new();
    let id = client.open();
    client.calls.abandon(id, &mut client.out);
    client.calls.disconnect(0, &mut client.woken);
    assert_eq!((client.calls.in_flight(), client.calls.free.len()), (0, 1));
}

#[test]
#[should_panic(expected = "was abandoned before")]
fn an_abandoned_call_cannot_be_polled() {
    let mut client = Client::new();
    let id = client.open();
    client.calls.abandon(id, &mut client.out);
    let _ = client.poll(id);
}

#[test]
#[should_panic(expected = "was taken before")]
fn a_taken_call_cannot_be_polled() {
    let mut client = Client::new();
    let id = client.open();
    client.respond(id, b"");
    client.body(id);
    let _ = client.poll(id);
}
