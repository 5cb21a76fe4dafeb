//! Streams of a server: what is admitted, and what is borne of those that are refused or over.

use std::sync::Arc;

use super::*;
use crate::stream::{Duplex, Hub, Side};

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
        for _ in 0..256 * 1024 / 32 {
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
