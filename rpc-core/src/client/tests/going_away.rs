//! GoAway from the server.

use super::*;
use crate::message::GoAwayReason;

#[test]
fn a_go_away_ends_the_calls_above_it_as_not_executed_and_keeps_the_others() {
    let mut client = Client::new();
    let (kept, last, above) = (client.open(), client.open(), client.open());
    let wakes = Arc::new(Wakes::default());
    assert!(client.calls.poll(above, &wakes.waker(), &mut Vec::new(), &mut None).is_pending());
    client.go_away(last).unwrap();
    assert_eq!(client.woken.len(), 1);
    assert_eq!(client.lost(above), Executed::No);
    assert_eq!(client.calls.in_flight(), 2);
    for id in [kept, last] {
        assert!(client.poll(id).is_pending());
        client.respond(id, b"ok");
        assert_eq!(client.body(id), b"ok");
    }
}

#[test]
fn an_answer_to_a_call_above_the_go_away_is_an_error() {
    let mut client = Client::new();
    let id = client.open();
    client.go_away(CallId::NONE).unwrap();
    assert_eq!(client.receive(Kind::Response, 0, id, b""), unknown(Kind::Response, id));
}

#[test]
fn no_call_is_opened_after_a_go_away() {
    let mut client = Client::new();
    assert!(!client.calls.is_going_away());
    client.go_away(CallId::client(100, 0)).unwrap();
    assert!(client.calls.is_going_away());
    assert_eq!(client.try_open("A.B", b""), Err(OpenError::GoingAway));
    assert!(client.out.is_empty());
}

#[test]
fn an_abandoned_call_above_the_go_away_gives_its_slot_back() {
    let mut client = Client::new();
    let id = client.open();
    client.calls.abandon(id, &mut client.out);
    client.go_away(CallId::NONE).unwrap();
    assert_eq!((client.calls.in_flight(), client.calls.free.as_slice()), (0, &[id.slot()][..]));
}

#[test]
fn a_second_go_away_may_only_shrink() {
    let mut client = Client::new();
    let (first, second) = (client.open(), client.open());
    client.go_away(second).unwrap();
    client.go_away(second).unwrap();
    assert!(client.poll(second).is_pending());
    client.go_away(first).unwrap();
    assert_eq!(client.lost(second), Executed::No);
    let error = ProtocolError::GoAwayGrew { id: second, before: first };
    assert_eq!(client.go_away(second), Err(error));
}

#[test]
fn the_reason_and_the_text_of_a_go_away_are_told() {
    let mut client = Client::new();
    for (number, reason) in [
        (0, GoAwayReason::Shutdown),
        (1, GoAwayReason::Protocol),
        (2, GoAwayReason::FrameTooLarge),
        (3, GoAwayReason::CalmDown),
        (4, GoAwayReason::ConnectionAge),
        (5, GoAwayReason::Idle),
        (77, GoAwayReason::Other(77)),
    ] {
        let go_away = GoAway { reason, message: "why".to_owned() };
        assert_eq!(go_away.to_body(), [&[number], &b"why"[..]].concat());
        let event = client.receive(Kind::GoAway, 0, CallId::NONE, &go_away.to_body());
        assert_eq!(event, Ok(Event::GoAway(go_away)));
    }
}

#[test]
fn the_text_of_a_go_away_is_cut_and_need_not_be_utf8() {
    let mut client = Client::new();
    let event = client.receive(Kind::GoAway, 0, CallId::NONE, &[&[0], &[0xff; 1000][..]].concat());
    match event {
        Ok(Event::GoAway(go_away)) => assert_eq!(go_away.message, "\u{fffd}".repeat(256)),
        other => panic!("{other:?}"),
    }
}
