//! Cancels, and what they cost.

use super::*;

#[test]
fn a_cancel_names_the_call_that_its_caller_gave_up() {
    let mut server = Server::new();
    let id = server.admitted();
    assert!(
        matches!(server.receive(Kind::Cancel, 0, id, b""), Ok(Event::Cancel(cancelled)) if cancelled == id)
    );
    assert_eq!(server.calls.in_flight(), 1, "the terminal frame is still owed");
}

#[test]
fn a_cancel_of_an_ended_call_is_harmless() {
    let mut server = Server::new();
    let id = server.admitted();
    server.calls.end(CallId::NONE);
    assert!(server.receive(Kind::Cancel, 0, id, b"").is_ok());
    assert_eq!(server.calls.in_flight(), 0);
}

#[test]
fn a_cancel_of_a_refused_call_is_harmless() {
    let mut server = Server::new();
    let id = server.request(flags::NAME | flags::COMPRESSED, ONCE).unwrap().id;
    assert!(server.receive(Kind::Cancel, 0, id, b"").is_ok());
}

#[test]
fn a_cancel_of_a_call_that_was_never_opened_is_an_error() {
    let mut server = Server::new();
    let id = server.admitted();
    let kind = Kind::Cancel;
    for id in [
        CallId::client(id.counter() + 1, 0),
        CallId::client(id.counter(), id.slot() + 1),
        CallId::from_wire(1 << 63 | id.to_wire()),
        CallId::NONE,
    ] {
        assert_eq!(server.error(kind, id), ProtocolError::UnknownCall { kind, id });
    }
}

#[test]
fn each_request_pays_for_one_cancel_for_ever() {
    let mut server = Server::new();
    for _ in 0..5000 {
        let id = server.admitted();
        server.receive(Kind::Cancel, 0, id, b"").unwrap();
        server.calls.end(CallId::NONE);
    }
}

#[test]
fn cancels_that_nothing_paid_for_end_the_connection_after_the_burst() {
    let mut server = Server::new();
    let id = server.admitted();
    for _ in 0..1001 {
        server.receive(Kind::Cancel, 0, id, b"").unwrap();
    }
    assert_eq!(server.error(Kind::Cancel, id), ProtocolError::CalmDown { kind: Kind::Cancel });
}

#[test]
fn the_budget_comes_back_with_time() {
    let mut server = Server::new();
    let id = server.admitted();
    for _ in 0..1001 {
        server.receive(Kind::Cancel, 0, id, b"").unwrap();
    }
    server.now += Duration::from_secs(1);
    for _ in 0..33 {
        server.receive(Kind::Cancel, 0, id, b"").unwrap();
    }
    server.error(Kind::Cancel, id);
}
