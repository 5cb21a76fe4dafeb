//! How long a stream lives.

use std::time::Instant;

use super::*;
use crate::client::{self, RequestHead};
use crate::frame::Frame;
use crate::server;

#[test]
fn a_stream_with_something_to_send_does_not_outlive_its_connection_at_the_server() {
    let limits = Limits::default();
    let mut calls = server::Calls::new(limits);
    let hub = Hub::new(Side::Server, limits, limits, None);
    let id = CallId::client(1, 0);
    let body = Body::Borrowed(b"\0\x01\0\0\0\0\0\0\0\0\x03A.B");
    let request = Frame { kind: Kind::Request, flags: flags::NAME | flags::MORE, id, body };
    calls.receive(request, Instant::now()).expect("a request");
    let duplex = calls.open_stream(id, &hub, true);
    duplex.send(&mut Parcel::raw(&[1]).0, None);
    assert!(hub.poll(Waker::noop()));
    drop(calls);
    let left = Arc::downgrade(&duplex);
    drop((duplex, hub));
    assert!(left.upgrade().is_none(), "its hub and it hold each other");
}

#[test]
fn a_stream_with_something_to_send_does_not_outlive_its_connection_at_the_client() {
    let mut calls = client::Calls::new(Limits::default(), Limits::default());
    let head =
        RequestHead { method: "A.B", time_left: None, metadata: &Metadata::EMPTY, stream: Some(Shape::Bidi) };
    let id = calls.open(head, b"", None, None, &mut Output::default(), 0).expect("room for a stream");
    let duplex = calls.stream(id).expect("it has one").clone();
    duplex.send(&mut Parcel::raw(&[1]).0, None);
    calls.disconnect(0, &mut Vec::new());
    let left = Arc::downgrade(&duplex);
    drop((duplex, calls));
    assert!(left.upgrade().is_none(), "its hub and it hold each other");
}
