//! What a client expects of an answer, by the shape of its call.

use super::*;

#[test]
fn one_answer_where_items_were_expected_fails_the_call() {
    for shape in [Shape::Server, Shape::Bidi] {
        let end = End::client(shape);
        end.reply(b"one");
        assert_eq!(end.fault(), Fault::WrongShape { stream: false });
        assert_eq!((end.kinds(), end.is_ready()), (vec![], None), "there is nothing to give up");
    }
}

#[test]
fn items_where_one_answer_was_expected_fail_the_call_which_is_given_up() {
    let end = End::client(Shape::Client);
    end.send(b"waits to go out");
    end.open().unwrap();
    assert_eq!(end.fault(), Fault::WrongShape { stream: true });
    assert_eq!(end.kinds(), [(Kind::Cancel, 0)]);
    end.item(b"dropped").unwrap();
    assert_eq!(end.take(), [b""; 0]);
    end.complete().unwrap();
    assert_eq!(end.fault(), Fault::WrongShape { stream: true });
}

#[test]
fn one_answer_that_was_expected_is_the_only_item() {
    let end = End::client(Shape::Client);
    assert!(end.outcome().is_none());
    end.reply(b"one");
    assert_eq!(end.take(), [b"one".to_vec()]);
    assert!(matches!(end.outcome(), Some(Outcome::Complete)));
}

#[test]
fn a_call_that_sends_no_items_can_send_none() {
    assert_eq!(End::client(Shape::Server).is_ready(), None);
    assert_eq!(End::client(Shape::Client).is_ready(), Some(true));
    assert_eq!(End::client(Shape::Bidi).is_ready(), Some(true));
}

#[test]
fn the_head_of_an_answer_counts_though_its_end_came_with_it() {
    let end = End::client(Shape::Server);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(end.duplex.poll_opened(&mut cx).is_pending());
    end.open().unwrap();
    end.complete().unwrap();
    assert!(matches!(end.duplex.poll_opened(&mut cx), Poll::Ready(Ok(()))));
    let end = End::client(Shape::Server);
    end.duplex.end(Outcome::Status(Box::new(Status::aborted(""))), &mut Vec::new());
    assert!(matches!(end.duplex.poll_opened(&mut cx), Poll::Ready(Err(Outcome::Status(_)))));
}

#[test]
fn metadata_of_the_beginning_and_of_the_end_are_kept_apart() {
    let pair = |value: &str| {
        let mut metadata = Metadata::EMPTY;
        metadata.insert("key", value).unwrap();
        metadata
    };
    let end = End::client(Shape::Server);
    assert!(end.duplex.metadata().is_none());
    end.duplex.open(pair("first")).unwrap();
    assert!(end.duplex.trailers().is_empty());
    end.duplex.complete(pair("last"), &mut Vec::new()).unwrap();
    assert_eq!(end.duplex.metadata(), Some(pair("first")));
    assert_eq!(end.duplex.trailers(), pair("last"));
}

#[test]
fn a_head_over_the_callers_limit_is_not_sent() {
    // Header, length of the block, key and value, and the lengths of those.
    let most = MAX_ITEM - 10 - 2 - 1 - 3 - 2;
    for (len, fits) in [(most, true), (most + 1, false)] {
        let (mut metadata, end) = (Metadata::EMPTY, End::server());
        metadata.insert("key", vec![7; len]).unwrap();
        assert_eq!(end.duplex.put_head(&metadata).is_ok(), fits);
        assert_eq!(end.kinds().len(), usize::from(fits));
    }
}
