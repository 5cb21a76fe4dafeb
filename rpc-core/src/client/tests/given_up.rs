use std::task::Context;

use super::*;
use crate::stream::{self, Batch, Next, Shape};

fn open(client: &mut Client, waker: Option<Waker>) -> (CallId, Arc<Duplex>) {
    let head =
        RequestHead { method: "A.B", time_left: None, metadata: &Metadata::EMPTY, stream: Some(Shape::Bidi) };
    let id =
        client.calls.open(head, b"", None, waker, &mut client.out, client.sent).expect("room for a stream");
    (id, client.calls.stream(id).expect("it has one").clone())
}

#[test]
fn what_comes_on_a_stream_after_it_was_given_up_is_dropped_and_what_came_before_stays() {
    let mut client = Client::new();
    let (id, duplex) = open(&mut client, None);
    client.receive(Kind::Response, flags::MORE, id, b"").expect("items follow");
    client.receive(Kind::Data, 0, id, b"before").expect("an item");
    duplex.give_up();
    client.receive(Kind::Data, 0, id, b"after").expect("the server does not know yet");
    let (mut cx, mut batch) = (Context::from_waker(Waker::noop()), Batch::default());
    assert!(matches!(duplex.poll_items(&mut cx, &mut batch), Poll::Ready(Next::Items)));
    assert_eq!(batch.pop().map(|(_, body)| body.as_slice().to_vec()), Some(b"before".to_vec()));
    assert!(batch.pop().is_none());
    for _ in 0..2 {
        let end = duplex.poll_items(&mut cx, &mut batch);
        assert!(matches!(end, Poll::Ready(Next::End(stream::Outcome::GivenUp))), "{end:?}");
        client.receive(Kind::Data, 0, id, b"later").expect("it still does not");
    }
}

#[test]
fn a_stream_that_has_ended_leaves_no_waker_in_its_slot() {
    let (mut client, wakes) = (Client::new(), Arc::<Wakes>::default());
    let (id, _) = open(&mut client, Some(wakes.waker()));
    client.receive(Kind::Status, 0, id, &[2, 2, 0, 0, 0, 0]).expect("a status");
    client.woken.clear();
    assert_eq!(Arc::strong_count(&wakes), 1);
}
