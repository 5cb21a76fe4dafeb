//! Method names are sent once.

use super::*;

/// Index, and the name if it is in the frame.
fn method(sent: &Sent) -> (u16, Option<&[u8]>) {
    assert_eq!(sent.kind, Kind::Request);
    let index = u16::from_be_bytes([sent.body[0], sent.body[1]]);
    if sent.flags & flags::NAME == 0 {
        return (index, None);
    }
    assert_eq!(sent.body[2..10], [0; 8], "no fingerprint");
    (index, Some(&sent.body[11..11 + usize::from(sent.body[10])]))
}

#[test]
fn the_first_request_introduces_its_method_and_later_ones_carry_the_index() {
    let mut client = Client::new();
    for name in ["A.B", "A.C", "A.B", "A.C", "A.B"] {
        client.try_open(name, b"").unwrap();
    }
    let sent = client.sent();
    let seen: Vec<_> = sent.iter().map(method).collect();
    assert_eq!(seen, [(1, Some(&b"A.B"[..])), (2, Some(b"A.C")), (1, None), (2, None), (1, None)]);
}

#[test]
fn a_method_stays_introduced_after_its_call_ended_or_was_abandoned() {
    let mut client = Client::new();
    let id = client.open();
    client.calls.abandon(id, &mut client.out);
    client.respond(id, b"");
    client.sent();
    client.open();
    assert_eq!(method(&client.sent()[0]), (1, None));
}

#[test]
fn after_4096_names_others_are_sent_whole_every_time_and_not_remembered() {
    let mut client = Client::with_room_for(MAX_MAX_CALLS);
    for number in 0..MAX_METHODS {
        client.try_open(&format!("A.M{number}"), b"").unwrap();
    }
    client.sent();
    for _ in 0..2 {
        client.try_open("A.Late", b"").unwrap();
        client.try_open("A.M4095", b"").unwrap();
        let sent = client.sent();
        assert_eq!(method(&sent[0]), (0, Some(&b"A.Late"[..])));
        assert_eq!(method(&sent[1]), (4096, None));
    }
}
