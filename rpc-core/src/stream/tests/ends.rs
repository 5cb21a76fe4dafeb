//! How a stream ends, and what goes out until then.

use std::time::Instant;

use super::*;
use crate::frame::Frame;
use crate::server::Calls;
use crate::status::Executed;
use crate::stream::outbox::PART;
use crate::stream::parcel::PACK;

#[test]
fn the_end_stands_behind_the_last_item_however_they_go_out() {
    for most in [1, 100, 20_000, 1 << 20] {
        let end = End::client(Shape::Client);
        for at in 0..20 {
            end.send(&[at; 3000]);
        }
        end.duplex.finish();
        assert_eq!(end.is_ready(), None, "nothing is sent after it");
        let mut sent: Vec<Sent> = Vec::new();
        while !sent.last().is_some_and(|(kind, ..)| *kind == Kind::End) {
            let mut out = Output::default();
            end.hub.fill(end.hub.take(), &mut out, most, &mut Vec::new());
            sent.extend(frames(&out.to_vec(), MIN_MAX_FRAME));
        }
        assert_eq!((sent.pop(), end.sent().len()), (Some((Kind::End, 0, vec![])), 0));
        let expected: Vec<u8> =
            (0..20).flat_map(|at| [&3000u32.to_be_bytes()[..], &[at; 3000]].concat()).collect();
        assert!(
            sent.iter().all(|(kind, flags, body)| *kind == Kind::Data && *flags == 0 && body.len() <= PACK)
        );
        assert_eq!(sent.into_iter().flat_map(|(.., body)| body).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_handler_waits_until_its_last_item_has_gone_out() {
    let end = End::server();
    end.duplex.put_head(&Metadata::EMPTY).unwrap();
    end.send(&[0; 30_000]);
    let (wakes, waker) = Wakes::new();
    assert!(end.duplex.poll_flushed(&mut Context::from_waker(&waker)).is_pending());
    let mut woken = Vec::new();
    end.hub.fill(end.hub.take(), &mut Output::default(), 1, &mut woken);
    woken.drain(..).for_each(Waker::wake);
    assert!(end.duplex.poll_flushed(&mut Context::from_waker(&waker)).is_pending(), "the head alone");
    end.hub.fill(end.hub.take(), &mut Output::default(), 1, &mut woken);
    woken.drain(..).for_each(Waker::wake);
    assert_eq!(wakes.count(), 1);
    assert_eq!(end.duplex.poll_flushed(&mut Context::from_waker(&waker)), Poll::Ready(Ok(())));
    end.send(b"never goes out");
    end.duplex.end(Outcome::GivenUp, &mut Vec::new());
    assert_eq!(end.duplex.poll_flushed(&mut Context::from_waker(&waker)), Poll::Ready(Err(Closed)));
}

#[test]
fn a_call_that_is_given_up_sends_one_cancel_and_nothing_else() {
    let end = End::answered();
    end.send(b"never goes out");
    end.duplex.give_up();
    end.duplex.give_up();
    end.duplex.stop_reading();
    end.duplex.finish();
    assert_eq!(end.is_ready(), None);
    let (mut parcel, _) = Parcel::raw(b"neither");
    let sent = end.duplex.poll_send(&mut parcel, &mut Context::from_waker(Waker::noop()));
    assert_eq!(sent, Poll::Ready(Err(Closed)));
    assert_eq!(end.kinds(), [(Kind::Cancel, 0)]);
    end.duplex.give_up();
    assert_eq!(end.kinds(), []);
}

#[test]
fn a_call_that_is_over_sends_no_cancel() {
    let end = End::answered();
    end.complete().unwrap();
    end.duplex.give_up();
    assert_eq!(end.kinds(), []);
    let end = End::answered();
    end.duplex.give_up();
    end.duplex.end(Outcome::Lost(Executed::Maybe), &mut Vec::new());
    assert_eq!(end.kinds(), [], "its end was there before its cancel went out");
}

#[test]
fn an_item_that_is_given_up_half_way_goes_no_further() {
    let end = End::client(Shape::Client);
    end.send(&vec![7; 300_000]);
    let mut out = Output::default();
    end.hub.fill(end.hub.take(), &mut out, 1, &mut Vec::new());
    let parts = frames(&out.to_vec(), MIN_MAX_FRAME);
    assert_eq!((parts.len(), parts[0].2.len()), (1, PART));
    end.duplex.give_up();
    assert_eq!(end.kinds(), [(Kind::Cancel, 0)]);

    // What the server had of it is given back when the call is over.
    let used = Arc::new(AtomicUsize::new(0));
    let memory = Memory { used: used.clone(), max: usize::MAX };
    let hub = Hub::new(Side::Server, End::limits(), End::limits(), Some(memory));
    let mut calls = Calls::new(End::limits());
    let once = Body::Borrowed(b"\0\0\0\0\0\0\0\0\0\0\x03A.B");
    let (id, flags) = (CallId::client(1, 0), flags::MORE | flags::NAME);
    calls.receive(Frame { kind: Kind::Request, flags, id, body: once }, Instant::now()).unwrap();
    let duplex = calls.open_stream(id, &hub, true);
    duplex.receive(parts[0].1, Body::Borrowed(&parts[0].2)).unwrap();
    assert_eq!(used.load(Ordering::Relaxed), parts[0].2.len());
    calls.end(id);
    drop(duplex);
    assert_eq!(used.load(Ordering::Relaxed), 0);
}

#[test]
fn a_terminal_frame_ends_both_directions() {
    let ends: [fn(&End); 3] = [
        |end| end.complete().unwrap(),
        |end| end.duplex.end(Outcome::Status(Box::new(Status::aborted(""))), &mut Vec::new()),
        |end| end.duplex.end(Outcome::Lost(Executed::No), &mut Vec::new()),
    ];
    for terminal in ends {
        let end = End::answered();
        end.send(b"waits to go out");
        end.item(b"came").unwrap();
        terminal(&end);
        assert_eq!((end.is_ready(), end.kinds()), (None, vec![]));
        assert_eq!(end.take(), [b"came".to_vec()]);
        assert!(end.outcome().is_some());
    }
}

#[test]
fn whoever_waits_is_woken_by_the_end() {
    let end = End::answered();
    end.send(&[0; WINDOW]);
    let (wakes, waker) = Wakes::new();
    let mut cx = Context::from_waker(&waker);
    assert!(end.duplex.poll_credit(&mut cx).is_pending());
    assert!(end.duplex.poll_items(&mut cx, &mut Batch::default()).is_pending());
    let mut woken = Vec::new();
    end.duplex.complete(Metadata::EMPTY, &mut woken).unwrap();
    woken.into_iter().for_each(Waker::wake);
    assert_eq!(wakes.count(), 2);
}

#[test]
fn a_handler_that_stops_reading_may_go_on_answering() {
    let end = End::server();
    end.item(b"unread").unwrap();
    end.duplex.stop_reading();
    end.item(b"dropped").unwrap();
    end.duplex.half_close().unwrap();
    assert_eq!(end.take(), [b""; 0]);
    end.send(b"an item");
    assert_eq!(end.kinds(), [(Kind::Data, packed([7]))]);
}

#[test]
fn the_first_reason_for_an_end_is_the_one_that_counts() {
    let end = End::answered();
    end.duplex.expire(Outcome::Expired, &mut Vec::new());
    end.duplex.end(Outcome::Status(Box::new(Status::cancelled("as asked"))), &mut Vec::new());
    assert!(matches!(end.outcome(), Some(Outcome::Expired)));
    let end = End::answered();
    end.complete().unwrap();
    end.duplex.expire(Outcome::Expired, &mut Vec::new());
    assert!(matches!(end.outcome(), Some(Outcome::Complete)));
    assert_eq!(end.kinds(), []);
}
