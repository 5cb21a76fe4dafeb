//! Frames that belong to no call, or not to a client.

use super::*;

#[test]
fn answers_from_a_client_are_an_error_whatever_call_they_name() {
    for kind in [Kind::Response, Kind::Status] {
        let mut server = Server::new();
        let open = server.admitted();
        for id in [open, CallId::client(2, 0), CallId::from_wire(1 << 63), CallId::NONE] {
            assert_eq!(server.error(kind, id), ProtocolError::UnexpectedKind { kind, id });
        }
    }
}

#[test]
fn many_pings_get_one_pong_to_the_last_of_them() {
    let mut server = Server::new();
    for token in [1, 2, u64::MAX] {
        server.receive(Kind::Ping, 0, CallId::from_wire(token), b"").unwrap();
    }
    server.calls.answer_ping(&mut server.out);
    server.calls.answer_ping(&mut server.out);
    assert_eq!(server.sent(), [(Kind::Pong, CallId::from_wire(u64::MAX))]);
}

#[test]
fn a_pong_comes_back_with_its_token() {
    let mut server = Server::new();
    assert!(matches!(server.receive(Kind::Pong, 0, CallId::from_wire(7), b""), Ok(Event::Pong(7))));
}

#[test]
fn a_flood_of_pings_or_pongs_ends_the_connection_after_the_free_one_and_the_burst() {
    for kind in [Kind::Ping, Kind::Pong] {
        let mut server = Server::new();
        for _ in 0..1001 {
            server.receive(kind, 0, CallId::NONE, b"").unwrap();
        }
        assert_eq!(server.error(kind, CallId::NONE), ProtocolError::CalmDown { kind });
    }
}

#[test]
fn a_flood_of_go_aways_ends_the_connection_after_the_burst() {
    let mut server = Server::new();
    for _ in 0..1000 {
        server.receive(Kind::GoAway, 0, CallId::NONE, &[0]).unwrap();
    }
    assert_eq!(server.error(Kind::GoAway, CallId::NONE), ProtocolError::CalmDown { kind: Kind::GoAway });
}

#[test]
fn a_ping_every_second_is_free_for_ever() {
    let mut server = Server::new();
    for _ in 0..5000 {
        server.receive(Kind::Ping, 0, CallId::NONE, b"").unwrap();
        server.now += Duration::from_secs(1);
    }
}

#[test]
fn a_go_away_without_a_reason_is_an_error() {
    let error = ProtocolError::Truncated { kind: Kind::GoAway, field: "reason" };
    assert_eq!(Server::new().error(Kind::GoAway, CallId::NONE), error);
}

#[test]
fn each_breach_has_its_reason_in_the_go_away_that_answers_it() {
    use crate::message::GoAwayReason;
    for (error, reason) in [
        (ProtocolError::FrameTooLarge { len: 2, limit: 1 }, GoAwayReason::FrameTooLarge),
        (ProtocolError::TooManyCalls { limit: 1 }, GoAwayReason::CalmDown),
        (ProtocolError::CalmDown { kind: Kind::Ping }, GoAwayReason::CalmDown),
        (ProtocolError::UnknownKind { kind: 0x0b }, GoAwayReason::Protocol),
        (ProtocolError::UnknownMethod { index: 1 }, GoAwayReason::Protocol),
    ] {
        assert_eq!(GoAwayReason::from(&error), reason);
    }
}
