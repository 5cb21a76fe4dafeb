//! How long a stream lives.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;

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

/// Bytes of the user's, which touch the stream when they are dropped.
struct Owner(Vec<u8>, Mutex<Option<Arc<Duplex>>>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.1.get_mut().unwrap().take().unwrap().give_up();
    }
}

#[test]
fn what_does_not_go_out_any_more_is_dropped_outside_the_streams_lock() {
    for gives_up in [false, true] {
        let (done, waits) = mpsc::channel();
        std::thread::spawn(move || {
            let end = End::client(Shape::Bidi);
            let item = Bytes::from_owner(Owner(vec![1; 20_000], Mutex::new(Some(end.duplex.clone()))));
            let mut parcel = Parcel::default();
            let large = parcel.pack(crate::Format::Bincode, &item, MIN_MAX_FRAME).unwrap();
            drop(item);
            end.duplex.send(&mut parcel, large);
            match gives_up {
                true => end.duplex.give_up(),
                false => end.duplex.end(Outcome::Complete, &mut Vec::new()),
            }
            done.send(()).unwrap();
        });
        waits.recv_timeout(Duration::from_secs(10)).expect("it waits for its own lock");
    }
}
