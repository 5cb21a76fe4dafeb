//! After our own GoAway.

use super::*;

#[test]
fn a_go_away_names_the_last_request_that_came() {
    let mut server = Server::new();
    assert!(!server.calls.is_going_away());
    server.admitted();
    let id = server.request(flags::NAME | flags::COMPRESSED, ONCE).unwrap().id;
    server.go_away();
    assert!(server.calls.is_going_away());
    assert_eq!(server.sent(), [(Kind::GoAway, id)]);
}

#[test]
fn a_go_away_before_the_first_request_names_none() {
    let mut server = Server::new();
    server.go_away();
    assert_eq!(server.sent(), [(Kind::GoAway, CallId::NONE)]);
}

#[test]
fn a_second_go_away_has_the_id_of_the_first() {
    let mut server = Server::new();
    let id = server.admitted();
    server.go_away();
    server.call();
    server.go_away();
    assert_eq!(server.sent(), [(Kind::GoAway, id), (Kind::GoAway, id)]);
}

#[test]
fn requests_above_the_go_away_are_ignored_and_do_not_count() {
    let mut server = Server::with_room_for(1);
    server.admitted();
    server.go_away();
    for flags in [0, flags::COMPRESSED, flags::MORE] {
        let request = server.request(flags::NAME | flags, ONCE).unwrap();
        assert_eq!(request.admission, Admission::Ignored);
    }
    assert_eq!(server.calls.in_flight(), 1);
}

#[test]
fn an_ignored_request_still_introduces_its_method() {
    let mut server = Server::new();
    server.go_away();
    server.request(flags::NAME, &introduction(1, b"A.B")).unwrap();
    assert_eq!(server.request(0, b"\0\x01").unwrap().method, Method::Known(1));
}

#[test]
fn an_ignored_request_keeps_to_the_rules_and_can_be_cancelled() {
    let mut server = Server::new();
    server.go_away();
    let id = server.call().id;
    assert!(server.receive(Kind::Cancel, 0, id, b"").is_ok());
    let error = server.receive(Kind::Request, flags::NAME, id, ONCE).unwrap_err();
    assert_eq!(error, ProtocolError::IdNotGrowing { id, last: id });
}

#[test]
fn calls_below_the_go_away_go_on_and_can_be_cancelled() {
    let mut server = Server::new();
    let id = server.admitted();
    server.go_away();
    assert!(matches!(server.receive(Kind::Cancel, 0, id, b""), Ok(Event::Cancel(_))));
    server.calls.end(CallId::NONE);
    assert_eq!(server.calls.in_flight(), 0);
}

#[test]
fn a_clients_go_away_is_told_and_ends_nothing() {
    let mut server = Server::new();
    server.admitted();
    match server.receive(Kind::GoAway, 0, CallId::NONE, b"\0bye") {
        Ok(Event::GoAway(go_away)) => assert_eq!(go_away.message, "bye"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.calls.in_flight(), 1);
}
