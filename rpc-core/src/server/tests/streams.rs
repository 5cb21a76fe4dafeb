//! Streams of a server: what is admitted, and what is borne of those that are refused or over.

use std::sync::Arc;

use super::*;
use crate::stream::credit::{cost, late};
use crate::stream::outbox::PART;
use crate::stream::{Batch, Duplex, Hub, Next, Parcel, Side};

const STREAM_KINDS: [Kind; 3] = [Kind::Data, Kind::End, Kind::Credit];

/// A stream that was refused after it was admitted, for its method has none.
fn refused_stream(server: &mut Server) -> CallId {
    let request = server.request(flags::NAME | flags::MORE, ONCE).unwrap();
    assert!(request.stream && request.admission == Admission::Admitted);
    server.calls.end(request.id);
    server.calls.forgo_stream();
    request.id
}

/// A stream that runs.
fn open_stream(server: &mut Server) -> (CallId, Arc<Duplex>) {
    let id = server.request(flags::NAME | flags::MORE, ONCE).unwrap().id;
    let hub = Hub::new(Side::Server, Limits::default(), Limits::default(), None);
    (id, server.calls.open_stream(id, &hub, true))
}

#[test]
fn one_stream_over_the_limit_is_refused_as_not_executed() {
    let mut server = Server::new();
    let open: Vec<_> = (0..256).map(|_| open_stream(&mut server)).collect();
    let request = server.request(flags::NAME | flags::MORE, ONCE).unwrap();
    let (code, executed, _) = refusal(request.admission);
    assert_eq!((code, executed), (Code::ResourceExhausted, Executed::No));
    server.admitted();
    server.calls.end(open[7].0);
    open_stream(&mut server);
}

#[test]
fn frames_of_a_refused_stream_are_dropped() {
    let mut server = Server::new();
    let id = refused_stream(&mut server);
    for kind in STREAM_KINDS {
        assert!(matches!(server.receive(kind, 0, id, b"item"), Ok(Event::Nothing)), "{kind:?}");
    }
}

#[test]
fn frames_of_a_stream_for_a_call_that_was_never_opened_are_an_error() {
    let mut server = Server::new();
    let last = refused_stream(&mut server);
    for kind in STREAM_KINDS {
        for id in [CallId::NONE, CallId::client(last.counter() + 1, 0)] {
            assert_eq!(server.error(kind, id), ProtocolError::UnknownCall { kind, id });
        }
    }
}

#[test]
fn whatever_an_honest_client_sends_before_it_reads_the_refusal_is_borne() {
    let mut server = Server::new();
    for _ in 0..20 {
        let id = refused_stream(&mut server);
        // Empty items, charged 32 bytes each, fill the initial window last.
        for _ in 0..512 * 1024 / 32 {
            server.receive(Kind::Data, 0, id, b"").unwrap();
        }
        server.receive(Kind::End, 0, id, b"").unwrap();
    }
}

#[test]
fn stream_frames_that_nothing_paid_for_end_the_connection_after_the_burst() {
    for kind in STREAM_KINDS {
        let mut server = Server::new();
        let id = server.admitted();
        for _ in 0..1000 {
            server.receive(kind, 0, id, b"").unwrap();
        }
        assert_eq!(server.error(kind, id), ProtocolError::CalmDown { kind });
    }
}

/// Sends an item as honest clients cut it.
fn item(server: &mut Server, id: CallId, len: usize) {
    let body = [&(len as u32).to_be_bytes()[..], &vec![0; len]].concat();
    for part in body.chunks(PART) {
        server.receive(Kind::Data, 0, id, part).unwrap();
    }
}

#[test]
fn whatever_an_honest_client_sends_before_it_knows_of_the_end_is_borne() {
    let mut server = Server::new();
    let Limits { window, max_frame, .. } = Limits::default();
    for refused in [true, false] {
        // More often than the budget has frames.
        for _ in 0..1100 {
            let id = if refused {
                refused_stream(&mut server)
            } else {
                let id = open_stream(&mut server).0;
                server.calls.end(id);
                id
            };
            // It has a credit of 1, and begins the largest item.
            let len = 1000;
            let mut left = u64::from(window) - 1;
            while left > cost(2 * len) {
                item(&mut server, id, len);
                left -= cost(len);
            }
            item(&mut server, id, (left - cost(0)) as usize);
            item(&mut server, id, max_frame as usize);
            server.receive(Kind::End, 0, id, b"").unwrap();
            server.receive(Kind::Credit, 0, id, &[0, 0, 0, 1]).unwrap();
        }
    }
}

#[test]
fn a_wide_window_of_empty_items_is_borne_after_the_end() {
    let own = Limits { window: 16 << 20, max_frame: 1 << 16, ..Limits::default() };
    let mut server = Server::new();
    server.calls = Calls::new(own);
    let hub = Hub::new(Side::Server, own, own, None);
    let id = server.request(flags::NAME | flags::MORE, ONCE).unwrap().id;
    server.calls.open_stream(id, &hub, true);
    server.calls.end(id);
    for _ in 0..own.window / 32 {
        server.receive(Kind::Data, 0, id, &[0; 4]).unwrap();
    }
    server.receive(Kind::End, 0, id, b"").unwrap();
}

#[test]
fn a_stream_pays_for_what_comes_late_and_beyond_that_the_budget_does() {
    let mut server = Server::new();
    let (id, _) = open_stream(&mut server);
    server.calls.end(id);
    let Limits { window, max_frame, .. } = Limits::default();
    let paid = u64::from(window + window / 8 + 2 * max_frame) + late(0);
    let one = vec![0; PART];
    for _ in 0..paid / late(PART) + 1000 {
        server.receive(Kind::Data, 0, id, &one).unwrap();
    }
    let error = server.receive(Kind::Data, 0, id, &one).unwrap_err();
    assert_eq!(error, ProtocolError::CalmDown { kind: Kind::Data });
}

#[test]
fn a_client_that_has_sent_its_end_has_nothing_late_but_credit() {
    let mut server = Server::new();
    let (id, _) = open_stream(&mut server);
    server.receive(Kind::End, 0, id, b"").unwrap();
    server.calls.end(id);
    for _ in 0..1000 {
        server.receive(Kind::Data, 0, id, &[0; 100]).unwrap();
    }
    assert!(server.receive(Kind::Data, 0, id, &[0; 100]).is_err());
}

#[test]
fn credits_that_nobody_paid_for_end_the_connection_after_the_burst() {
    let mut server = Server::new();
    let (id, _) = open_stream(&mut server);
    for _ in 0..1000 {
        server.receive(Kind::Credit, 0, id, &[0, 0, 0, 1]).unwrap();
    }
    let error = server.receive(Kind::Credit, 0, id, &[0, 0, 0, 1]).unwrap_err();
    assert_eq!(error, ProtocolError::CalmDown { kind: Kind::Credit });
}

#[test]
fn each_half_window_that_was_sent_pays_for_one_credit_for_ever() {
    let mut server = Server::new();
    let (id, duplex) = open_stream(&mut server);
    let half = Limits::default().window / 2;
    for _ in 0..3000 {
        for len in [half as usize - 1000, 1000] {
            let (mut parcel, large) = Parcel::raw(&vec![0; len]);
            duplex.send(&mut parcel, large);
        }
        server.receive(Kind::Credit, 0, id, &half.to_be_bytes()).unwrap();
    }
}

#[test]
fn what_a_client_may_send_depends_on_the_state_of_its_stream() {
    type Reach = fn(&mut Server, CallId);
    // How it is reached, and whether Data, End and Credit are taken then.
    let states: [(Reach, [bool; 3]); 4] = [
        (|_, _| {}, [true, true, true]),
        (|server, id| drop(server.receive(Kind::End, 0, id, b"")), [false, false, true]),
        (|server, id| drop(server.receive(Kind::Cancel, 0, id, b"")), [true, true, true]),
        (|server, id| server.calls.end(id), [true, true, true]),
    ];
    for (at, (reach, taken)) in states.into_iter().enumerate() {
        for (kind, expected) in STREAM_KINDS.into_iter().zip(taken) {
            let mut server = Server::new();
            let (id, _) = open_stream(&mut server);
            reach(&mut server, id);
            let body = if kind == Kind::Data { [0; 4] } else { [0, 0, 0, 1] };
            let got = server.receive(kind, 0, id, &body);
            assert_eq!(got.is_ok(), expected, "{kind:?} in state {at}: {got:?}");
        }
    }
}

#[test]
fn a_frame_wakes_whoever_waits_for_it() {
    let mut server = Server::new();
    let (id, duplex) = open_stream(&mut server);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let mut batch = Batch::default();
    assert!(duplex.poll_items(&mut cx, &mut batch).is_pending());
    let event = server.receive(Kind::Data, 0, id, b"\0\0\0\x04ha");
    assert!(matches!(event, Ok(Event::Nothing)), "half an item is none: {event:?}");
    assert!(matches!(server.receive(Kind::Data, 0, id, b"lf"), Ok(Event::Stream(_))));
    assert!(matches!(duplex.poll_items(&mut cx, &mut batch), std::task::Poll::Ready(Next::Items)));
    batch.pop().unwrap();
    assert!(duplex.poll_items(&mut cx, &mut batch).is_pending());
    assert!(matches!(server.receive(Kind::End, 0, id, b""), Ok(Event::Stream(_))));
}

#[test]
fn without_streams_every_one_is_refused() {
    let mut server = Server::new();
    server.calls = Calls::new(Limits { max_streams: 0, ..Limits::default() });
    let request = server.request(flags::NAME | flags::MORE, ONCE).unwrap();
    assert_eq!(refusal(request.admission).0, Code::ResourceExhausted);
    server.admitted();
}

#[test]
fn a_stream_of_a_connection_that_is_gone_is_lost() {
    let mut server = Server::new();
    let (_, duplex) = open_stream(&mut server);
    drop(server);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let polled = duplex.poll_items(&mut cx, &mut Batch::default());
    assert!(matches!(polled, std::task::Poll::Ready(Next::End(Outcome::Lost(_)))), "{polled:?}");
}
