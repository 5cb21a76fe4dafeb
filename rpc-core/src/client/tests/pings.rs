//! Pings from the server, and Pongs for them.

use super::*;

#[test]
fn many_pings_get_one_pong_to_the_last_of_them() {
    let mut client = Client::new();
    assert!(!client.calls.owes_pong());
    for token in 1..=5 {
        client.receive(Kind::Ping, 0, CallId::from_wire(token), &[]).unwrap();
    }
    assert!(client.calls.owes_pong());
    client.calls.answer_ping(&mut client.out);
    client.calls.answer_ping(&mut client.out);
    let id = CallId::from_wire(5);
    assert_eq!(client.sent(), [Sent { kind: Kind::Pong, flags: 0, id, body: Vec::new() }]);
    assert!(!client.calls.owes_pong());
}

#[test]
fn a_token_is_any_64_bits_and_comes_back_unchanged() {
    let mut client = Client::new();
    let id = CallId::from_wire(u64::MAX);
    client.receive(Kind::Ping, 0, id, &[]).unwrap();
    client.calls.answer_ping(&mut client.out);
    assert_eq!(client.sent()[0].id, id);
    assert_eq!(client.receive(Kind::Pong, 0, id, &[]), Ok(Event::Pong(u64::MAX)));
}

#[test]
fn a_flood_of_pings_or_pongs_ends_the_connection_after_the_free_one_and_the_burst() {
    for kind in [Kind::Ping, Kind::Pong] {
        let mut client = Client::new();
        for _ in 0..1001 {
            client.receive(kind, 0, CallId::NONE, &[]).unwrap();
        }
        let error = ProtocolError::CalmDown { kind };
        assert_eq!(client.receive(kind, 0, CallId::NONE, &[]), Err(error));
    }
}

#[test]
fn each_ping_pays_for_its_pong_however_late_they_come() {
    let mut client = Client::new();
    for _ in 0..20 {
        let mut asked = 0;
        for _ in 0..40_000 {
            asked += u32::from(client.calls.ping(1, client.now, &mut client.out));
            client.now += Duration::from_millis(1);
        }
        assert!(asked > 1000, "{asked}");
        // The way back was stalled.
        for _ in 0..asked {
            client.receive(Kind::Pong, 0, CallId::from_wire(1), &[]).unwrap();
        }
    }
}

#[test]
fn a_ping_every_second_is_free_for_ever() {
    let mut client = Client::new();
    for _ in 0..5000 {
        client.receive(Kind::Ping, 0, CallId::NONE, &[]).unwrap();
        client.now += Duration::from_secs(1);
    }
}

#[test]
fn pings_of_our_own_keep_below_what_a_server_bears() {
    let mut client = Client::new();
    let mut server = crate::server::Calls::new(Limits::default());
    let start = client.now;
    for token in 0..100_000 {
        let now = start + Duration::from_millis(token / 10);
        if client.calls.ping(token, now, &mut client.out) {
            for Sent { kind, flags, id, body } in client.sent() {
                let frame = Frame { kind, flags, id, body: Body::Borrowed(&body) };
                server.receive(frame, now).expect("a ping that is fair");
            }
        }
    }
    assert!(!client.calls.ping(0, start, &mut client.out));
}
