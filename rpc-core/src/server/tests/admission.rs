//! Which requests are run.

use super::*;

#[test]
fn a_request_is_handed_on_whole() {
    let mut server = Server::new();
    let head = flags::NAME | flags::DEADLINE | flags::METADATA;
    let body = b"\0\x01\0\0\0\0\0\0\0\x09\x03A.B\0\0\0\0\0\x0f\x42\x40\0\x05\x01k\0\x01vargs";
    let request = server.request(head, body).unwrap();
    assert_eq!(request.id, CallId::client(1, 0));
    let method = Method::New { index: 1, name: (*b"A.B").into(), fingerprint: 9 };
    assert_eq!((request.method, request.admission), (method, Admission::Admitted));
    assert_eq!(request.time_left, Some(Duration::from_secs(1)));
    assert_eq!(request.metadata.text("k"), Some("v"));
    assert_eq!(request.body.as_slice(), b"args");
}

#[test]
fn admitted_calls_count_until_they_end() {
    let mut server = Server::new();
    server.admitted();
    server.admitted();
    assert_eq!(server.calls.in_flight(), 2);
    server.calls.end(CallId::NONE);
    assert_eq!(server.calls.in_flight(), 1);
}

#[test]
fn one_call_over_the_limit_is_refused_as_not_executed_and_does_not_count() {
    let mut server = Server::with_room_for(2);
    server.admitted();
    server.admitted();
    let (code, executed, message) = refusal(server.call().admission);
    assert_eq!((code, executed), (Code::ResourceExhausted, Executed::No));
    assert_eq!(message, "more than 2 calls in flight");
    assert_eq!(server.calls.in_flight(), 2);
    server.calls.end(CallId::NONE);
    server.admitted();
}

#[test]
fn as_many_refusals_in_a_row_as_the_limit_are_borne_and_one_more_is_not() {
    let mut server = Server::with_room_for(2);
    server.admitted();
    server.admitted();
    refusal(server.call().admission);
    refusal(server.call().admission);
    let error = server.request(flags::NAME, ONCE).unwrap_err();
    assert_eq!(error, ProtocolError::TooManyCalls { limit: 2 });
}

#[test]
fn an_admitted_call_clears_the_count_of_refusals() {
    let mut server = Server::with_room_for(1);
    server.admitted();
    for _ in 0..10 {
        refusal(server.call().admission);
        server.calls.end(CallId::NONE);
        server.admitted();
    }
}

#[test]
fn a_deadline_that_had_passed_when_it_was_sent_is_refused() {
    let mut server = Server::new();
    let body = [ONCE, &[0; 8]].concat();
    let (code, executed, _) =
        refusal(server.request(flags::NAME | flags::DEADLINE, &body).unwrap().admission);
    assert_eq!((code, executed), (Code::DeadlineExceeded, Executed::No));
    assert_eq!(server.calls.in_flight(), 0);
}

#[test]
fn any_other_deadline_is_admitted() {
    let mut server = Server::new();
    for micros in [1, u64::MAX] {
        let body = [ONCE, &micros.to_be_bytes()].concat();
        let request = server.request(flags::NAME | flags::DEADLINE, &body).unwrap();
        assert_eq!(request.admission, Admission::Admitted);
        assert_eq!(request.time_left, Some(Duration::from_micros(micros)));
    }
}

#[test]
fn metadata_that_is_none_fails_its_call_only() {
    for block in [&b"\x01K\0\0"[..], b"\0\0\0", b"\x05k", &b"\x01k\0\0".repeat(65)] {
        let mut server = Server::new();
        let body = [ONCE, &(block.len() as u16).to_be_bytes(), block].concat();
        let request = server.request(flags::NAME | flags::METADATA, &body).unwrap();
        let (code, executed, _) = refusal(request.admission);
        assert_eq!((code, executed), (Code::InvalidArgument, Executed::No), "{block:?}");
        server.admitted();
    }
}

#[test]
fn a_request_cut_short_inside_a_fixed_field_is_an_error() {
    for (flags, body) in [
        (0, &b""[..]),
        (0, b"\0"),
        (flags::NAME, b"\0\x01\0\0\0\0\0\0\0"),
        (flags::NAME, b"\0\x01\0\0\0\0\0\0\0\0"),
        (flags::NAME, b"\0\x01\0\0\0\0\0\0\0\0\x04A.B"),
        (flags::NAME | flags::DEADLINE, b"\0\x01\0\0\0\0\0\0\0\0\x03A.B\0\0\0"),
        (flags::NAME | flags::METADATA, b"\0\x01\0\0\0\0\0\0\0\0\x03A.B\0"),
        (flags::NAME | flags::METADATA, b"\0\x01\0\0\0\0\0\0\0\0\x03A.B\0\x02\0"),
    ] {
        let error = Server::new().request(flags, body).unwrap_err();
        assert!(matches!(error, ProtocolError::Truncated { .. }), "{body:?}: {error}");
    }
}

#[test]
fn a_compressed_request_is_refused_as_unimplemented() {
    let mut server = Server::new();
    let (code, executed, _) =
        refusal(server.request(flags::NAME | flags::COMPRESSED, ONCE).unwrap().admission);
    assert_eq!((code, executed), (Code::Unimplemented, Executed::No));
    assert_eq!(server.calls.in_flight(), 0);
}

#[test]
fn an_id_that_does_not_grow_is_an_error() {
    for id in [CallId::client(5, 9), CallId::client(5, 10), CallId::client(4, 0), CallId::NONE] {
        let mut server = Server::new();
        let last = CallId::client(5, 9);
        server.receive(Kind::Request, flags::NAME, last, ONCE).unwrap();
        let error = server.receive(Kind::Request, flags::NAME, id, ONCE).unwrap_err();
        assert_eq!(error, ProtocolError::IdNotGrowing { id, last });
    }
}

#[test]
fn ids_may_leave_gaps_and_slots_may_come_in_any_order() {
    let mut server = Server::new();
    for id in [CallId::client(2, 9), CallId::client(3, 0), CallId::client(1 << 46, u16::MAX)] {
        assert!(matches!(server.receive(Kind::Request, flags::NAME, id, ONCE), Ok(Event::Request(_))));
    }
}

#[test]
fn the_first_id_is_not_zero() {
    let mut server = Server::new();
    let id = CallId::client(0, 3);
    let error = server.receive(Kind::Request, flags::NAME, id, ONCE).unwrap_err();
    assert_eq!(error, ProtocolError::IdNotGrowing { id, last: CallId::NONE });
}

#[test]
fn an_id_of_the_servers_side_is_an_error() {
    let id = CallId::from_wire(1 << 63 | CallId::client(1, 0).to_wire());
    let error = Server::new().receive(Kind::Request, flags::NAME, id, ONCE).unwrap_err();
    assert_eq!(error, ProtocolError::WrongSide { id });
}
