//! Every kind of frame against every state that a call can be in.

use super::*;

const STATUS: &[u8] = b"\x02\x02\0\0\0\x02no";

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    NeverOpened,
    OtherSide,
    Open,
    Abandoned,
    AnsweredNotTaken,
    RefusedNotTaken,
    LostNotTaken,
    Taken,
    AbandonedAndAnswered,
    SlotUsedAgain,
}

const STATES: [At; 10] = [
    At::NeverOpened,
    At::OtherSide,
    At::Open,
    At::Abandoned,
    At::AnsweredNotTaken,
    At::RefusedNotTaken,
    At::LostNotTaken,
    At::Taken,
    At::AbandonedAndAnswered,
    At::SlotUsedAgain,
];

fn client_with_call(state: At) -> (Client, CallId) {
    let mut client = Client::new();
    let id = client.open();
    match state {
        At::NeverOpened => return (client, CallId::client(2, 1)),
        At::OtherSide => return (client, CallId::from_wire(1 << 63 | id.to_wire())),
        At::Open => {}
        At::Abandoned => {
            client.calls.abandon(id, &mut client.out);
        }
        At::AnsweredNotTaken => client.respond(id, b"1"),
        At::RefusedNotTaken => {
            client.receive(Kind::Status, 0, id, STATUS).unwrap();
        }
        At::LostNotTaken => {
            client.go_away(CallId::NONE).unwrap();
        }
        At::Taken => {
            client.respond(id, b"1");
            client.body(id);
        }
        At::AbandonedAndAnswered => {
            client.calls.abandon(id, &mut client.out);
            client.respond(id, b"1");
        }
        At::SlotUsedAgain => {
            client.respond(id, b"1");
            client.body(id);
            assert_eq!(client.open().slot(), id.slot());
        }
    }
    (client, id)
}

#[test]
fn a_terminal_frame_ends_only_a_call_that_waits_for_one() {
    for state in STATES {
        for (kind, body) in [(Kind::Response, &b"1"[..]), (Kind::Status, STATUS)] {
            let (mut client, id) = client_with_call(state);
            let before = client.calls.in_flight();
            if matches!(state, At::Open | At::Abandoned) {
                assert_eq!(client.receive(kind, 0, id, body), Ok(Event::Nothing), "{kind:?} {state:?}");
                assert_eq!(client.calls.in_flight(), before - 1, "{kind:?} {state:?}");
            } else {
                assert_eq!(client.receive(kind, 0, id, body), unknown(kind, id), "{state:?}");
                assert_eq!(client.calls.in_flight(), before, "{kind:?} {state:?}");
            }
        }
    }
}

#[test]
fn frames_that_only_a_client_or_a_stream_has_are_an_error_in_every_state() {
    for state in STATES {
        for kind in [Kind::Request, Kind::Cancel, Kind::Data, Kind::End, Kind::Credit] {
            let (mut client, id) = client_with_call(state);
            let asks_for_call = matches!(kind, Kind::Data | Kind::End | Kind::Credit);
            let error = match asks_for_call && !matches!(state, At::Open | At::Abandoned) {
                true => unknown(kind, id),
                false => Err(ProtocolError::UnexpectedKind { kind, id }),
            };
            assert_eq!(client.receive(kind, 0, id, &[0; 8]), error, "{state:?}");
        }
    }
}

#[test]
fn frames_of_the_connection_leave_calls_alone_in_every_state() {
    for state in STATES {
        let (mut client, id) = client_with_call(state);
        let before = client.calls.in_flight();
        assert_eq!(client.receive(Kind::Ping, 0, id, &[]), Ok(Event::Nothing), "{state:?}");
        assert_eq!(client.receive(Kind::Pong, 0, id, &[]), Ok(Event::Pong(id.to_wire())), "{state:?}");
        let last = if state == At::LostNotTaken { CallId::NONE } else { CallId::client(9, 0) };
        assert!(matches!(client.go_away(last), Ok(Event::GoAway(_))), "{state:?}");
        assert_eq!(client.calls.in_flight(), before, "{state:?}");
    }
}

#[test]
fn a_second_terminal_frame_is_an_error_whatever_the_first_was() {
    for (first, second) in [(Kind::Response, Kind::Status), (Kind::Status, Kind::Response)] {
        let mut client = Client::new();
        let id = client.open();
        client.receive(first, 0, id, STATUS).unwrap();
        assert_eq!(client.receive(second, 0, id, STATUS), unknown(second, id));
    }
}

#[test]
fn an_old_id_never_ends_the_call_that_has_its_slot_now() {
    let (mut client, old) = client_with_call(At::SlotUsedAgain);
    assert_eq!(client.receive(Kind::Response, 0, old, b"x"), unknown(Kind::Response, old));
    let new = CallId::client(2, old.slot());
    assert!(client.poll(new).is_pending());
    client.respond(new, b"2");
    assert_eq!(client.body(new), b"2");
}

#[test]
fn a_compressed_answer_is_an_error() {
    let mut client = Client::new();
    let id = client.open();
    let error = ProtocolError::UnknownFlags { kind: Kind::Response, flags: flags::COMPRESSED };
    assert_eq!(client.receive(Kind::Response, flags::COMPRESSED, id, b""), Err(error));
}

#[test]
fn a_terminal_frame_cut_short_inside_a_fixed_field_is_an_error() {
    for (kind, flags, body) in [
        (Kind::Response, flags::METADATA, &b"\0"[..]),
        (Kind::Response, flags::METADATA, b"\0\x05\x01"),
        (Kind::Status, 0, b"\x02"),
        (Kind::Status, 0, b"\x02\x02\0\0\0\x03no"),
        (Kind::GoAway, 0, b""),
    ] {
        let mut client = Client::new();
        let id = client.open();
        let error = client.receive(kind, flags, id, body).unwrap_err();
        assert!(matches!(error, ProtocolError::Truncated { .. }), "{kind:?} {body:?}: {error}");
    }
}
