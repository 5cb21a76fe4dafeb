//! Streams of a client: what is opened, what may come in which state, and what goes out.

use super::*;
use crate::error::ProtocolError;
use crate::limits::DEFAULT_WINDOW;
use crate::stream::{self, Batch, Next, Parcel};

const STATUS: &[u8] = b"\x02\x02\0\0\0\x02no";
const ONE: &[u8] = &[0, 0, 0, 1];

impl Client {
    fn with_streams(max_streams: u32) -> Self {
        Self::of(Limits { max_streams, ..Limits::default() })
    }

    fn try_stream(&mut self, shape: Shape) -> Result<CallId, OpenError> {
        let head =
            RequestHead { method: "A.B", time_left: None, metadata: &Metadata::EMPTY, stream: Some(shape) };
        self.calls.open(head, b"", None, None, &mut self.out, self.sent)
    }

    fn stream(&mut self, shape: Shape) -> (CallId, Arc<Duplex>) {
        let id = self.try_stream(shape).expect("room for a stream");
        (id, self.calls.stream(id).expect("a stream").clone())
    }

    /// Kinds of what goes out, of the streams too.
    fn kinds(&mut self) -> Vec<Kind> {
        let hub = self.calls.hub().clone();
        loop {
            let ready = hub.take();
            if ready.is_empty() {
                return self.sent().iter().map(|sent| sent.kind).collect();
            }
            hub.fill(ready, &mut self.out, usize::MAX, &mut self.woken);
        }
    }

    fn head(&mut self, id: CallId) {
        assert_eq!(self.receive(Kind::Response, flags::MORE, id, b""), Ok(Event::Nothing));
    }
}

fn outcome(duplex: &Arc<Duplex>) -> stream::Outcome {
    match duplex.poll_items(&mut std::task::Context::from_waker(Waker::noop()), &mut Batch::default()) {
        Poll::Ready(Next::End(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_that_sends_no_items_sends_its_end_behind_its_request() {
    let mut client = Client::new();
    client.stream(Shape::Server);
    let sent = client.sent();
    assert_eq!((sent[0].kind, sent[0].flags), (Kind::Request, flags::NAME | flags::MORE));
    assert_eq!((sent[1].kind, sent[1].id, sent.len()), (Kind::End, sent[0].id, 2));
    for shape in [Shape::Client, Shape::Bidi] {
        client.stream(shape);
        assert_eq!(client.kinds(), [Kind::Request]);
    }
}

#[test]
fn as_many_streams_are_open_as_the_server_takes_and_not_one_more() {
    let mut client = Client::with_streams(2);
    let full = Err(OpenError::TooManyStreams { limit: 2 });
    let (id, duplex) = client.stream(Shape::Bidi);
    client.stream(Shape::Server);
    assert_eq!(client.try_stream(Shape::Client), full);
    client.open();
    duplex.give_up();
    assert_eq!(client.try_stream(Shape::Client), full, "given up, it counts until its terminal frame");
    client.receive(Kind::Status, 0, id, STATUS).unwrap();
    client.stream(Shape::Client);
    assert_eq!(client.try_stream(Shape::Client), full);
    let mut client = Client::with_streams(0);
    assert_eq!(client.try_stream(Shape::Server), Err(OpenError::TooManyStreams { limit: 0 }));
    client.open();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Begun,
    Answered,
    HalfClosed,
    GivenUp,
    Ended,
    SlotUsedAgain,
    NeverOpened,
}

fn client_with_stream(at: At) -> (Client, CallId) {
    let mut client = Client::new();
    let (id, duplex) = client.stream(Shape::Bidi);
    match at {
        At::Begun => {}
        At::Answered => client.head(id),
        At::HalfClosed => {
            client.head(id);
            duplex.finish();
        }
        At::GivenUp => {
            client.head(id);
            duplex.give_up();
        }
        At::Ended => drop(client.receive(Kind::Status, 0, id, STATUS).unwrap()),
        At::SlotUsedAgain => {
            client.receive(Kind::Status, 0, id, STATUS).unwrap();
            assert_eq!(client.stream(Shape::Bidi).0.slot(), id.slot());
        }
        At::NeverOpened => return (client, CallId::client(9, 9)),
    }
    client.kinds();
    (client, id)
}

#[test]
fn what_a_server_may_send_depends_on_the_state_of_the_stream() {
    use At::{Answered, Begun, Ended, GivenUp, HalfClosed, NeverOpened, SlotUsedAgain};
    for at in [Begun, Answered, HalfClosed, GivenUp, Ended, SlotUsedAgain, NeverOpened] {
        let open = matches!(at, Answered | HalfClosed | GivenUp);
        for (kind, more, body, allowed) in [
            (Kind::Data, 0, &b"\0\0\0\x04item"[..], open),
            (Kind::End, 0, b"", open),
            (Kind::Credit, 0, ONE, open || at == Begun),
            (Kind::Response, flags::MORE, b"", at == Begun),
            (Kind::Response, 0, b"", open || at == Begun),
            (Kind::Status, 0, STATUS, open || at == Begun),
        ] {
            let (mut client, id) = client_with_stream(at);
            let got = client.receive(kind, more, id, body);
            let expected = match allowed {
                true => Ok(Event::Nothing),
                false if open || at == Begun => Err(ProtocolError::UnexpectedKind { kind, id }),
                false => unknown(kind, id),
            };
            assert_eq!(got, expected, "{kind:?} {more} {at:?}");
        }
    }
}

#[test]
fn every_terminal_frame_frees_the_slot_of_a_stream() {
    for (kind, body) in [(Kind::End, &b""[..]), (Kind::Response, b"1"), (Kind::Status, STATUS)] {
        for at in [At::Answered, At::HalfClosed, At::GivenUp] {
            let (mut client, id) = client_with_stream(at);
            assert_eq!(client.calls.in_flight(), 1);
            client.receive(kind, 0, id, body).unwrap();
            assert_eq!((client.calls.in_flight(), client.kinds()), (0, vec![]), "{kind:?} {at:?}");
            assert_eq!(client.receive(kind, 0, id, body), unknown(kind, id));
        }
    }
}

#[test]
fn items_for_a_call_without_a_stream_are_an_error() {
    let mut client = Client::new();
    let id = client.open();
    for (kind, flags, body) in [
        (Kind::Data, 0, &b"item"[..]),
        (Kind::End, 0, b""),
        (Kind::Credit, 0, ONE),
        (Kind::Response, flags::MORE, b""),
    ] {
        let error = Err(ProtocolError::UnexpectedKind { kind, id });
        assert_eq!(client.receive(kind, flags, id, body), error, "{kind:?}");
    }
}

#[test]
fn items_beyond_the_window_are_an_error_also_when_the_call_was_given_up() {
    for at in [At::Answered, At::HalfClosed, At::GivenUp] {
        let (mut client, id) = client_with_stream(at);
        for _ in 0..DEFAULT_WINDOW / stream::ITEM_COST {
            client.receive(Kind::Data, 0, id, &[0; 4]).unwrap();
        }
        let error = Err(ProtocolError::OverCredit { id });
        assert_eq!(client.receive(Kind::Data, 0, id, &[0; 4]), error, "{at:?}");
    }
}

/// Sends an item for which there is credit.
fn send(duplex: &Arc<Duplex>, item: &[u8]) {
    let (mut parcel, large) = Parcel::raw(item);
    duplex.send(&mut parcel, large);
}

#[test]
fn credits_that_nobody_paid_for_end_the_connection_after_the_burst() {
    for at in [At::Begun, At::HalfClosed, At::GivenUp] {
        let (mut client, id) = client_with_stream(at);
        for _ in 0..1000 {
            client.receive(Kind::Credit, 0, id, ONE).unwrap();
        }
        let error = Err(ProtocolError::CalmDown { kind: Kind::Credit });
        assert_eq!(client.receive(Kind::Credit, 0, id, ONE), error, "{at:?}");
    }
}

#[test]
fn each_half_window_that_was_sent_pays_for_one_credit_for_ever() {
    let mut client = Client::new();
    let (id, duplex) = client.stream(Shape::Client);
    let half = DEFAULT_WINDOW / 2;
    for _ in 0..3000 {
        send(&duplex, &vec![0; half as usize]);
        client.receive(Kind::Credit, 0, id, &half.to_be_bytes()).unwrap();
        client.calls.hub().fill(client.calls.hub().take(), &mut Output::default(), 1, &mut Vec::new());
    }
}

#[test]
fn a_credit_of_nothing_or_too_much_is_an_error_and_so_is_half_a_one() {
    for at in [At::Begun, At::HalfClosed, At::GivenUp] {
        for increment in [0, u32::MAX, stream::MAX_CREDIT] {
            let (mut client, id) = client_with_stream(at);
            let error = Err(ProtocolError::BadCredit { increment });
            assert_eq!(client.receive(Kind::Credit, 0, id, &increment.to_be_bytes()), error, "{at:?}");
        }
        let (mut client, id) = client_with_stream(at);
        let got = client.receive(Kind::Credit, 0, id, &[0, 0, 1]);
        assert!(matches!(got, Err(ProtocolError::Truncated { kind: Kind::Credit, .. })), "{got:?}");
    }
}

#[test]
fn a_stream_is_cancelled_once_whoever_gives_it_up_and_how_often() {
    let mut client = Client::new();
    let (id, duplex) = client.stream(Shape::Bidi);
    client.kinds();
    client.calls.set_deadline(id, client.now);
    duplex.give_up();
    client.calls.expire(client.now, &mut client.out, &mut client.woken);
    assert_eq!(client.kinds(), [Kind::Cancel]);
    duplex.stop_reading();
    client.calls.cancel_all(&mut client.out, &mut client.woken);
    assert_eq!(client.kinds(), []);
}

#[test]
fn a_stream_whose_time_is_up_expires_and_counts_until_its_terminal_frame() {
    let mut client = Client::with_streams(1);
    let (id, duplex) = client.stream(Shape::Server);
    let later = client.now + Duration::from_secs(1);
    client.calls.set_deadline(id, later);
    client.kinds();
    client.calls.expire(client.now, &mut client.out, &mut client.woken);
    assert_eq!(client.kinds(), []);
    client.calls.expire(later, &mut client.out, &mut client.woken);
    assert_eq!(client.kinds(), [Kind::Cancel]);
    assert!(matches!(outcome(&duplex), stream::Outcome::Expired));
    assert_eq!(client.try_stream(Shape::Server), Err(OpenError::TooManyStreams { limit: 1 }));
    client.receive(Kind::Status, 0, id, STATUS).unwrap();
    client.stream(Shape::Server);
}

#[test]
fn a_go_away_ends_the_streams_above_it_as_not_executed_and_keeps_the_others() {
    let mut client = Client::new();
    let ((kept, one), (_, other)) = (client.stream(Shape::Bidi), client.stream(Shape::Bidi));
    client.go_away(kept).unwrap();
    assert!(matches!(outcome(&other), stream::Outcome::Lost(Executed::No)));
    client.head(kept);
    send(&one, b"goes on");
    assert_eq!(client.kinds().last(), Some(&Kind::Data));
}

#[test]
fn a_stream_of_a_lost_connection_may_have_run_only_if_its_request_was_written() {
    let mut client = Client::new();
    let (_, one) = client.stream(Shape::Server);
    let written = client.out.len() as u64;
    let (_, other) = client.stream(Shape::Server);
    client.calls.disconnect(written, &mut client.woken);
    assert!(matches!(outcome(&one), stream::Outcome::Lost(Executed::Maybe)));
    assert!(matches!(outcome(&other), stream::Outcome::Lost(Executed::No)));
    assert_eq!(client.kinds(), [Kind::Request, Kind::End, Kind::Request, Kind::End], "nothing is added");
}

#[test]
fn closing_gives_every_open_stream_up() {
    let mut client = Client::new();
    let (_, duplex) = client.stream(Shape::Bidi);
    send(&duplex, b"never goes out");
    client.calls.cancel_all(&mut client.out, &mut client.woken);
    assert_eq!(client.kinds(), [Kind::Request, Kind::Cancel]);
    assert!(matches!(outcome(&duplex), stream::Outcome::Lost(Executed::Maybe)));
}
