//! Opening calls: ids, slots, and what is refused without a trace.

use proptest::prelude::*;

use super::*;
use crate::frame::PREFIX_LEN;
use crate::limits::MIN_MAX_FRAME;

#[test]
fn a_request_carries_its_deadline_metadata_and_arguments_in_this_order() {
    let mut client = Client::new();
    let mut metadata = Metadata::new();
    metadata.insert("k", "v").unwrap();
    let time_left = Some(Duration::from_micros(0x0102));
    let head = RequestHead { method: "A.B", time_left, metadata: &metadata, stream: None };
    let shared = Some(Bytes::from_static(b"ed"));
    let id = client.calls.open(head, b"shar", shared, None, &mut client.out, 0).unwrap();
    let flags = flags::NAME | flags::DEADLINE | flags::METADATA;
    let body = b"\0\x01\0\0\0\0\0\0\0\0\x03A.B\0\0\0\0\0\0\x01\x02\0\x05\x01k\0\x01vshared".to_vec();
    assert_eq!(client.sent(), [Sent { kind: Kind::Request, flags, id, body }]);
}

#[test]
fn a_deadline_beyond_its_field_is_the_longest_there_is() {
    let mut client = Client::new();
    let head = RequestHead {
        method: "A.B",
        time_left: Some(Duration::MAX),
        metadata: &Metadata::EMPTY,
        stream: None,
    };
    client.calls.open(head, b"", None, None, &mut client.out, 0).unwrap();
    assert_eq!(client.sent()[0].body[14..], [0xff; 8]);
}

proptest! {
    #[test]
    fn ids_grow_and_no_two_calls_share_a_slot(steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 1..200)) {
        let mut client = Client::with_room_for(8);
        let (mut live, mut done, mut last) = (Vec::<CallId>::new(), Vec::<CallId>::new(), CallId::NONE);
        for (step, which) in steps {
            match step {
                0 | 1 => match client.try_open("A.B", b"") {
                    Ok(id) => {
                        prop_assert!(id > last && id.counter() == last.counter() + 1 && id.is_client());
                        prop_assert!(live.iter().chain(&done).all(|other| other.slot() != id.slot()));
                        last = id;
                        live.push(id);
                    }
                    Err(error) => prop_assert!(error == OpenError::Full && live.len() == 8),
                },
                2 if !live.is_empty() => {
                    let id = live.swap_remove(which.index(live.len()));
                    client.respond(id, b"");
                    done.push(id);
                }
                3 if !done.is_empty() => {
                    let id = done.swap_remove(which.index(done.len()));
                    prop_assert!(client.poll(id).is_ready());
                }
                _ => {}
            }
            prop_assert_eq!(client.calls.in_flight() as usize, live.len());
        }
    }
}

#[test]
fn a_slot_is_used_again_only_after_its_answer_was_taken() {
    let mut client = Client::new();
    let id = client.open();
    client.respond(id, b"first");
    let next = client.open();
    assert_ne!(next.slot(), id.slot());
    assert_eq!(client.body(id), b"first");
    assert_eq!(client.open().slot(), id.slot());
}

#[test]
fn as_many_calls_are_open_as_the_server_takes_and_not_one_more() {
    let mut client = Client::with_room_for(3);
    let ids = [client.open(), client.open(), client.open()];
    assert_eq!(client.try_open("A.B", b""), Err(OpenError::Full));
    client.respond(ids[1], b"");
    assert!(client.calls.room() > 0, "an answer makes room before it is taken");
    client.open();
}

#[test]
fn every_slot_of_an_id_can_be_in_use() {
    let mut client = Client::with_room_for(MAX_MAX_CALLS);
    let first = client.open();
    let last = (1..MAX_MAX_CALLS).map(|_| client.open()).last().unwrap();
    assert_eq!(last.slot(), u16::MAX);
    client.respond(first, b"");
    assert_eq!(client.try_open("A.B", b""), Err(OpenError::Full), "the answer holds the slot");
    client.body(first);
    assert_eq!(client.open().slot(), 0);
}

#[test]
fn a_connection_that_used_up_its_ids_opens_no_more_calls() {
    let mut client = Client::new();
    client.calls.counter = MAX_COUNTER - 1;
    assert_eq!(client.open().counter(), MAX_COUNTER);
    assert_eq!(client.try_open("A.B", b""), Err(OpenError::Exhausted));
}

/// Opens fail in `fail`; then the next call is exactly what it would have been without that.
fn leaves_no_trace(mut client: Client, fail: impl Fn(&mut Client) -> OpenError) -> OpenError {
    client.open();
    let (waiting, counter, slots) = (client.out.to_vec(), client.calls.counter, client.calls.slots.len());
    let error = fail(&mut client);
    assert_eq!(client.out.to_vec(), waiting);
    assert_eq!((client.calls.counter, client.calls.slots.len()), (counter, slots));
    assert_eq!((client.calls.names.len(), client.calls.in_flight()), (1, 1));
    error
}

#[test]
fn a_call_that_is_too_large_uses_up_nothing() {
    let limits = Limits { max_frame: MIN_MAX_FRAME, ..Limits::default() };
    let limit = MIN_MAX_FRAME;
    let len = limit as usize + 1;
    // Header, index, fingerprint, the name with its length.
    let room = limit as usize - 10 - 2 - 8 - 4;
    let error =
        leaves_no_trace(Client::of(limits), |client| client.try_open("A.C", &vec![0; room + 1]).unwrap_err());
    assert_eq!(error, OpenError::TooLarge { len, limit });
    let error = leaves_no_trace(Client::of(limits), |client| {
        client.try_open_shared("A.C", b"1", Some(vec![0; room].into())).unwrap_err()
    });
    assert_eq!(error, OpenError::TooLarge { len, limit });

    let mut client = Client::of(limits);
    client.try_open("A.C", &vec![0; room]).unwrap();
    assert_eq!(client.out.len() - PREFIX_LEN + 10, limit as usize);
}

#[test]
fn a_call_that_finds_no_room_uses_up_nothing() {
    let error = leaves_no_trace(Client::with_room_for(1), |client| client.try_open("A.C", b"").unwrap_err());
    assert_eq!(error, OpenError::Full);
}

#[test]
fn a_call_of_a_name_longer_than_its_field_uses_up_nothing() {
    let name = "n".repeat(256);
    let error = leaves_no_trace(Client::new(), |client| client.try_open(&name, b"").unwrap_err());
    assert_eq!(error, OpenError::NameTooLong);
    assert!(Client::new().try_open(&name[1..], b"").is_ok());
}
