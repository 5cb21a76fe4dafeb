//! Clients that break the rules of streams, or use them up to their limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rpc_client::Client;
use rpc_core::{Context, Service, Status, Streaming};
use rpc_server::Server;
use tests::{Args, CREDIT, END, Frame, Gate, MORE, Raw, arith, encoded, eventually, pipe, within};
use tokio::io::DuplexStream;

const WINDOW: usize = 512 * 1024;

/// What a client sends on the stream of that id.
type Breach = fn(u64) -> Vec<Frame>;

/// `Open.Take` waits at a gate and reads nothing; `Open.Count` counts; `Open.Items` never end, and are counted.
fn server(gate: &Gate) -> (Server, Arc<AtomicUsize>) {
    let (made, gate) = (Arc::new(AtomicUsize::new(0)), gate.clone());
    let counted = made.clone();
    let service = Service::new("Open")
        .client_stream("Take", move |_: Context, (): (), items: Streaming<Bytes>| {
            let gate = gate.clone();
            async move {
                let _items = items;
                gate.pass(0).await
            }
        })
        .client_stream("Count", |_: Context, (): (), items: Streaming<Bytes>| async move {
            Ok::<_, Status>(items.count().await)
        })
        .server_stream("Items", move |_: Context, size: usize| {
            let made = counted.clone();
            async move {
                Ok::<_, Status>(stream::repeat(()).map(move |()| {
                    made.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Status>(Bytes::from(vec![7; size]))
                }))
            }
        });
    (arith().register(service).build().unwrap(), made)
}

fn request(counter: u64, method: &str, args: &impl serde::Serialize) -> Frame {
    let mut request = Frame::request(counter, method, args);
    request.flags |= MORE;
    request
}

fn credit(id: u64, increment: u32) -> Frame {
    Frame::new(CREDIT, id, increment.to_be_bytes())
}

/// Opens a stream that is never read.
async fn opened(gate: &Gate) -> (Raw<DuplexStream>, u64) {
    let mut raw = Raw::enter(pipe(&server(gate).0), "").await;
    let request = request(1, "Open.Take", &());
    raw.send(&request).await;
    gate.entered().await;
    (raw, request.id)
}

/// The server says why, in these words, and closes.
async fn assert_sent_away(raw: &mut Raw<DuplexStream>, reason: u8, words: &str) {
    let mut frame = raw.frame().await;
    while frame.kind != Frame::GO_AWAY {
        frame = raw.frame().await;
    }
    let text = String::from_utf8_lossy(&frame.body[1..]).into_owned();
    assert!(frame.body[0] == reason && text.contains(words), "{} {text}", frame.body[0]);
    while raw.next().await.is_some() {}
}

#[tokio::test]
async fn frames_that_break_the_rules_of_streams_end_the_connection_with_the_reason() {
    let not_allowed = "is not allowed here";
    let cases: [(&str, Breach); 10] = [
        ("without credit", |id| vec![Frame::item(id, &vec![0; WINDOW - 32]), Frame::item(id, b"")]),
        ("credit of 0", |id| vec![credit(id, 0)]),
        ("credit of 2147483647", |id| vec![credit(id, i32::MAX as u32)]),
        ("ends inside its item length", |id| vec![Frame::new(Frame::DATA, id, [])]),
        ("ends inside its item length", |id| vec![Frame::new(Frame::DATA, id, [0, 0, 0])]),
        ("unknown flags 0x80", |id| vec![Frame { flags: 0x80, ..Frame::item(id, b"") }]),
        (not_allowed, |id| vec![Frame::new(END, id, []), Frame::item(id, b"late")]),
        (not_allowed, |id| vec![Frame::new(END, id, []), Frame::new(END, id, [])]),
        (not_allowed, |id| vec![Frame::begin(id, 6, b"begun"), Frame::new(END, id, [])]),
        ("which is not open", |id| vec![Frame::item(id + (1 << 16), b"")]),
    ];
    for (at, (words, frames)) in cases.into_iter().enumerate() {
        let gate = Gate::new();
        let (mut raw, id) = opened(&gate).await;
        for frame in frames(id) {
            raw.send(&frame).await;
        }
        assert_sent_away(&mut raw, 1, words).await;
        drop(raw);
        gate.dropped().await;
        assert_eq!(gate.ran(), 1, "case {at}");
    }
}

#[tokio::test]
async fn empty_items_are_no_more_than_the_credit_pays_for() {
    let (mut raw, id) = opened(&Gate::new()).await;
    let item = Frame::item(id, b"").to_bytes();
    for _ in 0..WINDOW / 32 {
        raw.say(&item).await;
    }
    raw.send(&Frame::new(Frame::PING, 7, [])).await;
    assert_eq!(raw.frame().await.kind, Frame::PONG, "so many are taken");
    raw.say(&item).await;
    assert_sent_away(&mut raw, 1, "without credit").await;
}

#[tokio::test]
async fn credits_that_nobody_paid_for_are_borne_up_to_the_burst() {
    let (mut raw, id) = opened(&Gate::new()).await;
    let drip = credit(id, 1).to_bytes();
    raw.say(&drip.repeat(900)).await;
    raw.send(&Frame::new(Frame::PING, 7, [])).await;
    assert_eq!(raw.frame().await.kind, Frame::PONG);
    raw.say(&drip.repeat(1000)).await;
    assert_sent_away(&mut raw, 3, "too many control frames").await;
}

#[tokio::test]
async fn an_item_in_parts_of_one_byte_is_one_item() {
    let (mut raw, parts) = (Raw::enter(pipe(&server(&Gate::new()).0), "").await, 100_000);
    let request = request(1, "Open.Count", &());
    raw.send(&request).await;
    let item = encoded(&Bytes::from(vec![7; parts]));
    raw.send(&Frame::begin(request.id, item.len(), b"")).await;
    let frames = item.iter().flat_map(|byte| Frame::new(Frame::DATA, request.id, [*byte]).to_bytes());
    raw.say(&frames.collect::<Vec<_>>()).await;
    raw.send(&Frame::new(END, request.id, [])).await;
    let mut answer = raw.frame().await;
    if answer.kind == CREDIT {
        assert_eq!(answer.body, u32::try_from(item.len() + 32).unwrap().to_be_bytes());
        answer = raw.frame().await;
    }
    assert_eq!((answer.kind, answer.body), (Frame::RESPONSE, encoded(&1usize)));
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_opened_and_not_read_hold_no_more_than_their_windows() {
    let (server, made) = server(&Gate::new());
    for window in [None, Some(65_536)] {
        let headers = window.map(|window| format!("Rpc-Window: {window}\r\n")).unwrap_or_default();
        let before = made.load(Ordering::Relaxed);
        let (streams, size) = (256, 1000);
        let mut raw = Raw::enter(pipe(&server), &headers).await;
        for counter in 1..=streams {
            let request = request(counter, "Open.Items", &size);
            raw.send(&request).await;
            raw.send(&Frame::new(END, request.id, [])).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let held = made.load(Ordering::Relaxed) - before;
        let cost = encoded(&Bytes::from(vec![7; size])).len() + 32;
        assert!(held <= 256 * window.unwrap_or(WINDOW).div_ceil(cost), "{held}");
        // Each waits at 64 KiB and a frame of small items besides, whatever the client lets it send; and what the pipe
        // holds has gone out.
        assert!(held >= 256 && held <= 256 * ((64 + 16) * 1024 / size + 1) + 300, "{held}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(made.load(Ordering::Relaxed) - before, held);
        let client = within(Client::new(pipe(&server))).await.unwrap();
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!(product, 56);
    }
}

#[tokio::test]
async fn streams_that_are_opened_and_cancelled_at_once_leave_nothing_behind() {
    let gate = Gate::new();
    let (server, _) = server(&gate);
    let mut raw = Raw::enter(pipe(&server), "").await;
    for round in 0..50 {
        for at in 1..=100 {
            let request = request(round * 100 + at, "Open.Take", &());
            raw.send(&request).await;
            raw.send(&Frame::item(request.id, &encoded(&Bytes::from_static(b"item")))).await;
            raw.send(&Frame::new(Frame::CANCEL, request.id, [])).await;
        }
        for _ in 0..100 {
            assert_eq!(raw.frame().await.status().0, 1, "cancelled");
        }
    }
    let in_flight = || server.stats().iter().map(|method| method.in_flight).sum::<u64>();
    eventually("no handler is left", || in_flight() == 0).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_comes_for_a_stream_after_its_end_is_dropped() {
    let gate = Gate::new();
    let (mut raw, id) = opened(&gate).await;
    gate.open(1);
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
    let item = Frame::item(id, &[0; 1000]).to_bytes();
    for _ in 0..WINDOW / 1032 {
        raw.say(&item).await;
    }
    raw.send(&credit(id, 1)).await;
    raw.send(&Frame::new(END, id, [])).await;
    raw.send(&Frame::new(Frame::CANCEL, id, [])).await;
    raw.send(&Frame::request(2, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(raw.frame().await.id, 2 << 16, "nothing more of the first");
}

#[tokio::test]
async fn what_comes_for_a_stream_that_was_refused_is_dropped() {
    let gate = Gate::new();
    let service =
        Service::new("Few").client_stream("Take", move |_: Context, (): (), items: Streaming<Bytes>| {
            let gate = gate.clone();
            async move {
                let _items = items;
                gate.pass(0).await
            }
        });
    let server = arith().register(service).max_streams_per_connection(1).build().unwrap();
    let mut raw = Raw::enter(pipe(&server), "").await;
    let methods = ["Few.Unknown", "Arith.Multiply", "Any.Name", "Few.Take"];
    for (counter, method) in (2..).step_by(2).zip(methods) {
        // While one is open, all others are over the limit, whatever else is wrong with them.
        if method == "Few.Take" {
            raw.send(&request(counter - 1, method, &())).await;
        }
        let request = request(counter, method, &());
        raw.send(&request).await;
        raw.say(&Frame::item(request.id, b"").to_bytes().repeat(WINDOW / 32)).await;
        raw.send(&Frame::new(END, request.id, [])).await;
        let refusal = raw.frame().await;
        assert_eq!((refusal.id, refusal.status().1), (request.id, 0), "executed: No");
    }
    raw.send(&Frame::request(9, "Arith.Multiply", &Args { a: 7, b: 8 })).await;
    assert_eq!(raw.frame().await.kind, Frame::RESPONSE);
}
