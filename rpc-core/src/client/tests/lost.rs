//! What becomes of calls when the connection is gone.

use super::*;

#[test]
fn a_lost_call_may_have_run_only_if_its_last_byte_was_written() {
    let mut client = Client::new();
    let first = client.try_open("A.B", b"abc").unwrap();
    let first_end = client.out.len() as u64;
    let second = client.try_open("A.B", b"abc").unwrap();
    let second_end = client.out.len() as u64;
    for (written, expected) in [
        (0, (Executed::No, Executed::No)),
        (first_end - 1, (Executed::No, Executed::No)),
        (first_end, (Executed::Maybe, Executed::No)),
        (second_end - 1, (Executed::Maybe, Executed::No)),
        (second_end, (Executed::Maybe, Executed::Maybe)),
    ] {
        let mut client = Client::new();
        client.try_open("A.B", b"abc").unwrap();
        client.try_open("A.B", b"abc").unwrap();
        client.calls.disconnect(written, &mut client.woken);
        assert_eq!((client.lost(first), client.lost(second)), expected, "{written} bytes written");
        assert_eq!(client.calls.in_flight(), 0);
    }
}

#[test]
fn bytes_that_left_before_a_call_was_opened_count() {
    let mut client = Client::new();
    client.open();
    client.sent();
    let id = client.try_open_shared("A.B", b"a", Some(Bytes::from_static(b"bc"))).unwrap();
    let end = client.sent + client.out.len() as u64;
    client.calls.disconnect(end - 1, &mut client.woken);
    assert_eq!(client.lost(id), Executed::No);
}

#[test]
fn an_answer_that_came_before_the_loss_stays() {
    let mut client = Client::new();
    let (answered, open) = (client.open(), client.open());
    client.respond(answered, b"kept");
    client.sent();
    client.calls.disconnect(client.sent, &mut client.woken);
    assert_eq!(client.body(answered), b"kept");
    assert_eq!(client.lost(open), Executed::Maybe);
}

#[test]
fn a_loss_wakes_every_call_that_waits_once() {
    let mut client = Client::new();
    let wakes = Arc::new(Wakes::default());
    for _ in 0..5 {
        let id = client.open();
        assert!(client.calls.poll(id, &wakes.waker(), &mut Vec::new(), &mut None).is_pending());
    }
    client.calls.disconnect(0, &mut client.woken);
    client.calls.disconnect(0, &mut client.woken);
    client.woken.drain(..).for_each(Waker::wake);
    assert_eq!(wakes.count(), 5);
}

#[test]
fn a_verdict_of_the_servers_is_not_changed_by_the_loss_after_it() {
    let mut client = Client::new();
    let id = client.open();
    client.sent();
    client.go_away(CallId::NONE).unwrap();
    client.calls.disconnect(client.sent, &mut client.woken);
    assert_eq!(client.lost(id), Executed::No);
}
