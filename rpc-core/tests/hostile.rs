//! Frames that no honest peer sends: neither half of a connection panics, whatever comes.

#![allow(clippy::unwrap_used, missing_docs)]

use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use rpc_core::client::{self, RequestHead};
use rpc_core::frame::{Frame, Kind};
use rpc_core::input::Input;
use rpc_core::message::{GoAway, GoAwayReason};
use rpc_core::output::Output;
use rpc_core::server::{self, Admission, Event};
use rpc_core::{Body, CallId, Limits, Metadata};

const KINDS: [Kind; 10] = [
    Kind::Request,
    Kind::Response,
    Kind::Status,
    Kind::Cancel,
    Kind::Data,
    Kind::End,
    Kind::Credit,
    Kind::Ping,
    Kind::Pong,
    Kind::GoAway,
];

#[derive(Clone, Debug)]
struct Sent {
    kind: Kind,
    flags: u8,
    id: CallId,
    body: Vec<u8>,
    owned: bool,
}

/// Ids beside those of a connection's first calls, and at the ends of their range.
fn id() -> impl Strategy<Value = CallId> {
    prop_oneof![
        8 => (0..40u64, 0..6u16).prop_map(|(counter, slot)| CallId::client(counter, slot)),
        1 => (0..40u64).prop_map(|counter| CallId::client((1 << 47) - 1 - counter, u16::MAX)),
        1 => (0..4u64).prop_map(|low| CallId::from_wire(1 << 63 | low << 16)),
        1 => any::<u64>().prop_map(CallId::from_wire),
    ]
}

/// What well-formed bodies begin with, and anything behind it.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(&b""[..]),
        Just(&b"\0\x01"[..]),
        Just(&b"\0\x01\0\0\0\0\0\0\0\0\x03A.B"[..]),
        Just(&b"\0\x02\0\0\0\0\0\0\0\0\x03A.C"[..]),
        Just(&b"\0\0\0\0\0\0\0\0\0\0\x03A.B"[..]),
        Just(&b"\0\0\0\0\0\0\0\0\0\0\x03A.B\0\0\0\0\0\0\0\x01\0\x05\x01k\0\x01v"[..]),
        Just(&b"\0\x05\x01k\0\x01v"[..]),
        Just(&b"\x02\x02\0\0\0\x02no"[..]),
        Just(&b"\x02\x02\xff\xff\xff\xff"[..]),
    ];
    (start, prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..20))
        .prop_map(|(start, rest)| [start, &rest].concat())
}

fn frame() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![4 => Just(0u8), 4 => Just(8), 2 => 0..16u8, 1 => any::<u8>()];
    (prop::sample::select(&KINDS[..]), flags, id(), body(), any::<bool>())
        .prop_map(|(kind, flags, id, body, owned)| Sent { kind, flags, id, body, owned })
}

impl Sent {
    fn frame(&self) -> Frame<'_> {
        let body = if self.owned {
            Body::Owned(Bytes::copy_from_slice(&self.body))
        } else {
            Body::Borrowed(&self.body)
        };
        Frame { kind: self.kind, flags: self.flags, id: self.id, body }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_frames_make_the_server_panic_or_count_wrong(
        max_calls in 1..4u32,
        frames in prop::collection::vec((frame(), any::<bool>(), 0..100u64), 0..80),
        go_away in any::<Index>(),
    ) {
        let mut calls = server::Calls::new(Limits { max_calls, ..Limits::default() });
        let (mut out, mut now, mut running) = (Output::default(), Instant::now(), 0);
        let last = go_away.index(frames.len() + 1);
        for (at, (sent, end, millis)) in frames.iter().enumerate() {
            now += Duration::from_millis(*millis);
            if at == last {
                let go_away = GoAway { reason: GoAwayReason::Shutdown, message: String::new() };
                calls.go_away(&go_away, &mut out);
            }
            if let Ok(Event::Request(request)) = calls.receive(sent.frame(), now)
                && request.admission == Admission::Admitted
            {
                running += 1;
            }
            if *end && running > 0 {
                calls.end(CallId::NONE);
                running -= 1;
            }
            calls.answer_ping(&mut out);
            prop_assert_eq!(calls.in_flight(), running);
            prop_assert!(running <= max_calls);
        }
    }

    #[test]
    fn no_frames_make_the_client_panic_or_end_a_call_twice(
        frames in prop::collection::vec((frame(), 0..4u8, any::<Index>()), 0..80),
        written in 0..2000u64,
    ) {
        let mut calls = client::Calls::new(Limits { max_calls: 5, ..Limits::default() }, Limits::default());
        let (mut out, now, mut woken) = (Output::default(), Instant::now(), Vec::new());
        let mut live: Vec<CallId> = Vec::new();
        for (sent, step, which) in &frames {
            let before = calls.in_flight();
            let received = calls.receive(sent.frame(), now, &mut woken);
            if received.is_err() {
                prop_assert_eq!(calls.in_flight(), before, "a frame that is an error ends nothing");
            }
            let head = RequestHead { method: "A.B", time_left: None, metadata: &Metadata::EMPTY, stream: None };
            match step {
                0 | 1 => live.extend(calls.open(head, b"", None, None, &mut out, 0)),
                2 if !live.is_empty() => {
                    let at = which.index(live.len());
                    if calls.poll(live[at], Waker::noop(), &mut Vec::new(), &mut None).is_ready() {
                        live.swap_remove(at);
                    }
                }
                3 if !live.is_empty() => {
                    calls.abandon(live.swap_remove(which.index(live.len())), &mut out);
                }
                _ => {}
            }
            calls.answer_ping(&mut out);
        }
        calls.disconnect(written, &mut woken);
        prop_assert_eq!(calls.in_flight(), 0);
        for id in live {
            prop_assert!(calls.poll(id, Waker::noop(), &mut Vec::new(), &mut None).is_ready());
        }
    }

    #[test]
    fn no_damaged_stream_makes_either_side_panic(
        frames in prop::collection::vec(frame(), 1..20),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut in 1..50usize,
    ) {
        let mut out = Output::default();
        for sent in &frames {
            out.put(sent.kind, sent.flags, sent.id, &sent.body);
        }
        let mut bytes = out.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (mut input, now, mut woken) = (Input::new(1 << 16), Instant::now(), Vec::new());
        let mut server = server::Calls::new(Limits::default());
        let mut client = client::Calls::new(Limits::default(), Limits::default());
        'stream: for chunk in bytes.chunks(cut) {
            let mut at = 0;
            loop {
                match input.next(chunk, &mut at) {
                    Ok(Some(frame)) => {
                        let _ = server.receive(frame.clone(), now);
                        let _ = client.receive(frame, now, &mut woken);
                    }
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }
}
