//! Items and their parts, and what cannot be taken.

use super::*;
use crate::limits::DEFAULT_MAX_FRAME;

#[test]
fn an_empty_frame_and_a_length_that_is_cut_are_errors() {
    let cut = || Err(ProtocolError::Truncated { kind: Kind::Data, field: "item length" });
    for end in [End::server(), End::answered()] {
        assert_eq!(end.data(0, b""), cut());
    }
    for end in [End::server(), End::answered()] {
        end.begin(5, b"begun").unwrap();
        assert_eq!(end.data(0, b"\0\0\0"), cut());
    }
    let end = End::server();
    end.begin(5, b"beg").unwrap();
    assert_eq!(end.part(b""), cut(), "also inside an item");
    let end = End::server();
    end.begin(5, b"beg").unwrap();
    assert_eq!(end.part(b"un\0\0"), cut());
}

#[test]
fn a_frame_may_end_one_item_carry_others_and_begin_another() {
    let end = End::server();
    end.begin(5, b"").unwrap();
    end.part(b"be").unwrap();
    end.data(0, b"gun\0\0\0\0\0\0\0\x01x\0\0\0\x04la").unwrap();
    assert_eq!(end.take(), [b"begun".to_vec(), vec![], b"x".to_vec()]);
    end.data(0, b"st\0\0\0\x01!").unwrap();
    assert_eq!(end.take(), [b"last".to_vec(), b"!".to_vec()]);
}

#[test]
fn empty_items_are_items_and_no_more_of_them_than_the_credit_pays_for() {
    let end = End::server();
    for _ in 0..WINDOW / ITEM {
        end.item(b"").unwrap();
    }
    assert_eq!(end.item(b""), over_credit());
    assert_eq!(end.take(), vec![Vec::<u8>::new(); WINDOW / ITEM]);
}

#[test]
fn four_mebibytes_in_parts_of_one_byte_are_one_item() {
    let own = Limits { max_frame: DEFAULT_MAX_FRAME, ..End::limits() };
    let end = End::served_by(Hub::new(Side::Server, own, End::limits(), None));
    let parts = DEFAULT_MAX_FRAME as usize;
    end.begin(parts, b"").unwrap();
    for at in 1..=parts {
        end.part(&[at as u8]).unwrap();
    }
    let items = end.take();
    assert_eq!((items.len(), items[0].len()), (1, parts));
    assert!(items[0].iter().zip(1..=parts).all(|(byte, at)| *byte == at as u8));
    assert_eq!(end.kinds(), [(Kind::Credit, parts + ITEM)]);
}

#[test]
fn an_item_over_the_largest_frame_ends_what_comes_and_keeps_what_came() {
    for end in [End::server(), End::answered()] {
        end.item(b"before").unwrap();
        end.begin(MAX_ITEM + 1, b"").unwrap();
        end.part(&[0; MAX_ITEM]).unwrap();
        end.part(b"1").unwrap();
        assert_eq!(end.take(), [b"before".to_vec()]);
        assert_eq!(end.fault(), Fault::ItemTooLarge { limit: MIN_MAX_FRAME });
    }
}

#[test]
fn an_item_of_exactly_the_largest_frame_is_taken() {
    let end = End::server();
    end.begin(MAX_ITEM, &[0; MAX_ITEM - 1]).unwrap();
    end.part(b"1").unwrap();
    assert_eq!(end.take()[0].len(), MAX_ITEM);
    assert!(end.outcome().is_none());
}

#[test]
fn compressed_data_is_an_error() {
    for end in [End::server(), End::answered()] {
        let error = ProtocolError::UnknownFlags { kind: Kind::Data, flags: flags::COMPRESSED };
        assert_eq!(end.data(flags::COMPRESSED, b"\0\0\0\0"), Err(error));
    }
}

#[test]
fn a_client_that_cannot_take_an_item_gives_the_call_up_and_a_server_does_not() {
    let end = End::answered();
    end.send(b"waits to go out");
    end.begin(MAX_ITEM + 1, b"").unwrap();
    assert_eq!((end.kinds(), end.is_ready()), (vec![(Kind::Cancel, 0)], None));
    end.part(b"late").unwrap();
    assert_eq!(end.take(), [b""; 0]);
    let end = End::server();
    end.begin(MAX_ITEM + 1, b"").unwrap();
    end.send(b"an answer all the same");
    assert_eq!(end.kinds(), [(Kind::Data, packed([22]))]);
}

#[test]
fn a_sender_is_woken_when_an_item_that_comes_ends_its_call() {
    let end = End::answered();
    end.send(&[0; WINDOW]);
    end.sent();
    let (wakes, waker) = Wakes::new();
    assert!(end.duplex.poll_credit(&mut Context::from_waker(&waker)).is_pending());
    end.begin(MAX_ITEM + 1, b"").unwrap();
    let mut woken = Vec::new();
    end.hub.fill(end.hub.take(), &mut Output::default(), 1, &mut woken);
    woken.into_iter().for_each(Waker::wake);
    assert_eq!(wakes.count(), 1, "it would wait for a server that may not answer soon");
}

#[test]
fn an_end_inside_an_item_is_an_error() {
    let end = End::server();
    end.begin(9, b"begun").unwrap();
    assert_eq!(end.duplex.half_close().map(drop), unexpected(Kind::End));
    let end = End::answered();
    end.begin(9, b"begun").unwrap();
    assert_eq!(end.complete(), unexpected(Kind::End));
}

#[test]
fn an_end_inside_an_item_is_an_error_also_when_nobody_reads() {
    let end = End::server();
    end.begin(9, b"begun").unwrap();
    end.duplex.stop_reading();
    end.part(b"go").unwrap();
    assert_eq!(end.duplex.half_close().map(drop), unexpected(Kind::End));
    let end = End::answered();
    end.duplex.stop_reading();
    end.begin(9, b"begun").unwrap();
    assert_eq!(end.complete(), unexpected(Kind::End));
}

#[test]
fn nothing_comes_from_a_client_after_its_end() {
    let end = End::server();
    end.item(b"last").unwrap();
    end.duplex.half_close().unwrap();
    assert_eq!(end.item(b"more"), unexpected(Kind::Data));
    assert_eq!(end.duplex.half_close().map(drop), unexpected(Kind::End));
    assert_eq!(end.take(), [b"last".to_vec()]);
    assert!(matches!(end.outcome(), Some(Outcome::Complete)));
}

#[test]
fn nothing_comes_from_a_server_before_the_head_of_its_answer() {
    let end = End::client(Shape::Server);
    assert_eq!(end.item(b"early"), unexpected(Kind::Data));
    assert_eq!(end.complete(), unexpected(Kind::End));
    end.open().unwrap();
    end.item(b"now").unwrap();
    assert_eq!(end.open(), unexpected(Kind::Response), "a second head");
}

#[test]
fn an_item_that_a_status_cuts_is_dropped_and_those_before_it_are_not() {
    let end = End::answered();
    end.item(b"whole").unwrap();
    end.begin(20, b"half of it").unwrap();
    let status = Status::aborted("no more");
    end.duplex.end(Outcome::Status(Box::new(status)), &mut Vec::new());
    assert_eq!(end.take(), [b"whole".to_vec()]);
    assert!(matches!(end.outcome(), Some(Outcome::Status(_))));
}

#[test]
fn parts_fit_into_the_smallest_frame_that_a_peer_can_announce() {
    for len in [MAX_ITEM - 20, MAX_ITEM - 10, MAX_ITEM - 9, MAX_ITEM, 3 * MAX_ITEM, 1 << 20] {
        for by_reference in [false, true] {
            let (item, end) = (vec![7; len], End::client(Shape::Client));
            let (mut parcel, large) = Parcel::raw(&item);
            let large = large.map(|large| match by_reference {
                true => Large { encoded: large.encoded.slice(..7), shared: large.encoded.slice(7..) },
                false => large,
            });
            end.duplex.send(&mut parcel, large);
            // Reading them checks the limit.
            let parts: Vec<_> = end.sent().into_iter().flat_map(|(.., body)| body).collect();
            assert!(parts[HEAD..] == item);
            let left = i64::from(MIN_WINDOW) - (len + ITEM) as i64;
            if left <= 0 {
                end.credit((1 - left) as usize);
            }
            assert_eq!(end.is_ready(), Some(true), "{len} bytes cost the same however they are cut");
        }
    }
}
