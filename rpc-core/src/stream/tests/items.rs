//! Items and their parts, and what cannot be taken.

use super::*;
use crate::limits::DEFAULT_MAX_FRAME;

#[test]
fn an_empty_part_that_is_not_the_last_is_an_error() {
    for end in [End::server(), End::answered()] {
        assert_eq!(end.data(flags::MORE, b""), unexpected(Kind::Data));
        let end = End::server();
        end.data(flags::MORE, b"begun").unwrap();
        assert_eq!(end.data(flags::MORE, b""), unexpected(Kind::Data));
    }
}

#[test]
fn empty_items_are_items_and_no_more_of_them_than_the_credit_pays_for() {
    let end = End::server();
    for _ in 0..WINDOW / FRAME {
        end.item(b"").unwrap();
    }
    assert_eq!(end.item(b""), over_credit());
    assert_eq!(end.take(), vec![Vec::<u8>::new(); WINDOW / FRAME]);
}

#[test]
fn four_mebibytes_in_parts_of_one_byte_are_one_item() {
    let own = Limits { max_frame: DEFAULT_MAX_FRAME, ..End::limits() };
    let end = End::served_by(Hub::new(Side::Server, own, End::limits(), None));
    let parts = DEFAULT_MAX_FRAME as usize;
    for at in 1..=parts {
        end.data(if at < parts { flags::MORE } else { 0 }, &[at as u8]).unwrap();
    }
    let items = end.take();
    assert_eq!((items.len(), items[0].len()), (1, parts));
    assert!(items[0].iter().zip(1..=parts).all(|(byte, at)| *byte == at as u8));
    assert_eq!(end.kinds(), [(Kind::Credit, parts * (1 + FRAME))]);
}

#[test]
fn an_item_over_the_largest_frame_ends_what_comes_and_keeps_what_came() {
    for end in [End::server(), End::answered()] {
        end.item(b"before").unwrap();
        end.data(flags::MORE, &[0; MAX_ITEM / 2]).unwrap();
        end.data(flags::MORE, &[0; MAX_ITEM / 2]).unwrap();
        end.data(flags::MORE, b"one more").unwrap();
        end.data(0, b"and the end of it").unwrap();
        assert_eq!(end.take(), [b"before".to_vec()]);
        assert_eq!(end.fault(), Fault::ItemTooLarge { limit: MIN_MAX_FRAME });
    }
}

#[test]
fn an_item_of_exactly_the_largest_frame_is_taken() {
    let end = End::server();
    end.data(flags::MORE, &[0; MAX_ITEM - 1]).unwrap();
    end.data(0, b"1").unwrap();
    assert_eq!(end.take()[0].len(), MAX_ITEM);
    assert!(end.outcome().is_none());
}

#[test]
fn a_compressed_item_ends_what_comes_and_keeps_what_came() {
    for flags in [flags::COMPRESSED, flags::COMPRESSED | flags::MORE] {
        for end in [End::server(), End::answered()] {
            end.item(b"before").unwrap();
            end.data(flags, b"compressed").unwrap();
            end.data(0, b"the rest").unwrap();
            assert_eq!(end.take(), [b"before".to_vec()]);
            assert_eq!(end.fault(), Fault::Compressed);
        }
    }
}

#[test]
fn a_client_that_cannot_take_an_item_gives_the_call_up_and_a_server_does_not() {
    let end = End::answered();
    end.send(b"waits to go out");
    end.data(flags::COMPRESSED, b"").unwrap();
    assert_eq!((end.kinds(), end.is_ready()), (vec![(Kind::Cancel, 0)], None));
    end.item(b"late").unwrap();
    assert_eq!(end.take(), [b""; 0]);
    let end = End::server();
    end.data(flags::COMPRESSED, b"").unwrap();
    end.send(b"an answer all the same");
    assert_eq!(end.kinds(), [(Kind::Data, 22)]);
}

#[test]
fn a_sender_is_woken_when_an_item_that_comes_ends_its_call() {
    let end = End::answered();
    end.send(&[0; WINDOW]);
    end.sent();
    let (wakes, waker) = Wakes::new();
    assert!(end.duplex.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    end.data(flags::COMPRESSED, b"").unwrap();
    let mut woken = Vec::new();
    end.hub.fill(end.hub.take(), &mut Output::default(), 1, &mut woken);
    woken.into_iter().for_each(Waker::wake);
    assert_eq!(wakes.count(), 1, "it would wait for a server that may not answer soon");
}

#[test]
fn an_end_inside_an_item_is_an_error() {
    let end = End::server();
    end.data(flags::MORE, b"begun").unwrap();
    assert_eq!(end.duplex.half_close().map(drop), unexpected(Kind::End));
    let end = End::answered();
    end.data(flags::MORE, b"begun").unwrap();
    assert_eq!(end.complete(), unexpected(Kind::End));
}

#[test]
fn an_end_inside_an_item_is_an_error_also_when_nobody_reads() {
    let end = End::server();
    end.data(flags::MORE, b"begun").unwrap();
    end.duplex.stop_reading();
    end.data(flags::MORE, b"goes on").unwrap();
    assert_eq!(end.duplex.half_close().map(drop), unexpected(Kind::End));
    let end = End::answered();
    end.duplex.stop_reading();
    end.data(flags::MORE, b"begun").unwrap();
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
    end.data(flags::MORE, b"half of it").unwrap();
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
            match by_reference {
                true => end.duplex.send(&mut vec![7; 3], Some(vec![7; len - 3].into())),
                false => end.duplex.send(&mut item.clone(), None),
            }
            .unwrap();
            // Reading them checks the limit.
            let parts: Vec<_> = end.sent().into_iter().map(|(_, _, body)| body).collect();
            assert_eq!(parts.concat(), item);
            let left = i64::from(MIN_WINDOW) - (len + parts.len() * FRAME) as i64;
            if left <= 0 {
                end.credit((1 - left) as usize);
            }
            assert_eq!(end.is_ready(), Some(true), "{len} bytes cost what they were cut to");
        }
    }
}
