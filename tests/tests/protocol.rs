//! The rules of docs/protocol.md that only a whole client or server can hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use rpc_client::{Client, Error, Lost};
use rpc_core::Code;
use tests::{Args, Frame, Gate, Raw, arith, decoded, listen, pipe, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

async fn raw_server() -> (Client, Raw<DuplexStream>) {
    let (near, far) = tokio::io::duplex(1024);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    (within(Client::new(near)).await.unwrap(), admitted.await.unwrap())
}

/// Over TCP, where closing over unread input sends a reset that erases what is under way.
#[tokio::test]
async fn a_refusal_is_read_by_a_client_that_sent_frames_behind_its_head() {
    let (address, _server) = listen(arith()).await;
    let mut raw = Raw::dial(address).await;
    let mut packet = b"CONNECT /elsewhere HTTP/1.0\r\n\r\n".to_vec();
    for counter in 1..=2000 {
        packet.extend(Frame::request(counter, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes());
    }
    raw.say(&packet).await;
    let refusal = raw.rest().await;
    assert!(refusal.starts_with("HTTP/1.0 404 Not Found\r\n"), "{refusal}");
    assert!(refusal.ends_with("no RPC at \"/elsewhere\", only at /_rpc_\n"), "{refusal}");
}

#[tokio::test]
async fn a_server_says_why_it_closes_to_a_client_that_broke_the_protocol_and_goes_on_sending() {
    let (address, _server) = listen(arith().max_frame(65_536)).await;
    let unknown_kind = Frame::new(0x7f, 0, []).to_bytes();
    let too_large = Frame::new(Frame::REQUEST, 1 << 16, vec![0; 100_000]).to_bytes();
    let too_short = 9u32.to_be_bytes().to_vec();
    let never_opened = Frame::new(Frame::CANCEL, 9 << 16, []).to_bytes();
    for (breach, reason) in [(unknown_kind, 1), (too_large, 2), (too_short, 1), (never_opened, 1)] {
        let mut raw = Raw::enter(Raw::dial(address).await.0, "").await;
        raw.say(&Frame::request(1, "Arith.Multiply", &Args { a: 7, b: 8 }).to_bytes()).await;
        assert_eq!(decoded::<i64>(&raw.frame().await.body), 56);
        raw.say(&breach).await;
        raw.say(&vec![0; 100_000]).await;
        let go_away = raw.frame().await;
        assert_eq!((go_away.kind, go_away.id, go_away.body[0]), (Frame::GO_AWAY, 1 << 16, reason));
        assert_eq!(raw.next().await, None);
    }
}

#[tokio::test]
async fn a_client_says_why_it_closes_to_a_server_that_broke_the_protocol() {
    let (client, mut raw) = raw_server().await;
    let call = client.start::<i64>("Any.Name", 1);
    assert_eq!(raw.frame().await.kind, Frame::REQUEST);
    raw.send(&Frame::response(77 << 16, &5i64)).await;
    let go_away = raw.frame().await;
    assert_eq!((go_away.kind, go_away.id, go_away.body[0]), (Frame::GO_AWAY, 0, 1));
    assert_eq!(raw.next().await, None);
    drop(raw);
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { source: Lost::Protocol(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_that_the_server_does_not_have_is_unimplemented_and_has_not_run() {
    let mut raw = Raw::enter(pipe(&arith().build().unwrap()), "").await;
    for (counter, name) in (1..).zip(["Nothing.Here", "Arith.Nothing", "Nothing", "", "a b.c"]) {
        raw.send(&Frame::request(counter, name, &())).await;
        let (code, executed, message) = raw.frame().await.status();
        assert_eq!((code, executed), (Code::Unimplemented.to_wire(), 0), "{message}");
    }
}

/// A server may stop reading until its answers are taken; a client that read only once its own
/// output is written would stall with it.
#[tokio::test]
async fn a_client_reads_answers_while_the_server_reads_nothing() {
    let (client, mut raw) = raw_server().await;
    let small = client.start::<i64>("Any.Name", 1);
    let request = raw.frame().await;
    let stuck = client.start::<i64>("Any.Name", vec![0u8; 1 << 20]);
    within(raw.0.read_exact(&mut [0; 100])).await.unwrap();
    raw.send(&Frame::response(request.id, &5i64)).await;
    assert_eq!(within(small).await.unwrap(), 5);
    drop(stuck);
}

#[tokio::test]
async fn calls_are_finished_and_answered_after_the_client_shut_its_writing_side() {
    let gate = Gate::new();
    let (address, server) = listen(gate.register(arith())).await;
    let mut raw = Raw::enter(Raw::dial(address).await.0, "").await;
    let mut packet = Vec::new();
    for counter in 1..=600u64 {
        packet.extend(Frame::request(counter, "Gate.Pass", &(counter as i64)).to_bytes());
    }
    raw.say(&packet).await;
    raw.0.shutdown().await.unwrap();
    for _ in 0..600 {
        gate.entered().await;
    }
    gate.open(600);
    let mut answers = Vec::new();
    while let Some(reply) = raw.call_frame().await {
        assert_eq!(reply.kind, Frame::RESPONSE);
        answers.push(decoded::<i64>(&reply.body));
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=600).collect::<Vec<_>>());
    drop(raw);
    tests::eventually("the connection is gone", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_client_answers_pings_with_the_last_token_while_it_makes_no_calls() {
    let (client, mut raw) = raw_server().await;
    raw.send(&Frame::new(Frame::PING, u64::MAX, [])).await;
    assert_eq!(raw.frame().await, Frame::new(Frame::PONG, u64::MAX, []));
    drop(client);
}

#[tokio::test]
async fn a_server_answers_pings_while_handlers_wait() {
    let gate = Gate::new();
    let mut raw = Raw::enter(pipe(&gate.register(arith()).build().unwrap()), "").await;
    raw.send(&Frame::request(1, "Gate.Pass", &1i64)).await;
    raw.send(&Frame::new(Frame::PING, 7, [])).await;
    assert_eq!(raw.frame().await, Frame::new(Frame::PONG, 7, []));
    gate.open(1);
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
}

/// Many times over, that takes memory for the names alone: `hostile names` looks at it.
#[tokio::test]
async fn a_name_that_is_introduced_again_is_the_same_method_under_both_indices() {
    let server = arith().build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    let indices = [(1, true), (2, true), (2, false), (3, true), (1, false), (3, false)];
    for (counter, (index, new)) in (1u64..).zip(indices) {
        let frame = Frame::request(counter, "Arith.Multiply", &Args { a: 7, b: counter as i64 });
        // Behind the index of a method that is not remembered: fingerprint, length and name.
        let rest = if new { &frame.body[2..] } else { &frame.body[2 + 9 + "Arith.Multiply".len()..] };
        let body = [&u16::to_be_bytes(index)[..], rest].concat();
        raw.send(&Frame { flags: if new { frame.flags } else { 0 }, body, ..frame }).await;
        assert_eq!(decoded::<i64>(&raw.frame().await.body), 7 * counter as i64, "method {index}");
    }
}
