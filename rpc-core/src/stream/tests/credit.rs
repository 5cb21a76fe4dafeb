//! Who may send how much.

use super::*;

#[test]
fn a_sender_starts_with_the_window_that_its_peer_announced() {
    let peer = Limits { window: 2 * MIN_WINDOW, ..End::limits() };
    let hub = Hub::new(Side::Server, End::limits(), peer, None);
    let end = End::served_by(hub);
    for _ in 0..2 * WINDOW / ITEM {
        end.send(b"");
        end.sent();
    }
    assert_eq!(end.is_ready(), Some(false));
}

#[test]
fn a_receiver_takes_no_more_than_the_window_that_it_announced() {
    let own = Limits { window: 2 * MIN_WINDOW, ..End::limits() };
    let end = End::served_by(Hub::new(Side::Server, own, End::limits(), None));
    for _ in 0..2 * WINDOW / ITEM {
        end.item(b"").unwrap();
    }
    assert_eq!(end.item(b""), over_credit());
}

#[test]
fn credit_belongs_to_one_stream_and_to_one_direction() {
    let hub = End::hub(Side::Client);
    let (one, other) = (End::opened_by(hub.clone(), Shape::Bidi), End::opened_by(hub, Shape::Bidi));
    one.open().unwrap();
    one.send(&[0; WINDOW]);
    one.sent();
    assert_eq!((one.is_ready(), other.is_ready()), (Some(false), Some(true)));
    one.item(&[0; WINDOW - ITEM]).unwrap();
    one.credit(WINDOW);
    assert_eq!(one.item(b""), over_credit(), "credit to send is none to receive");
    other.open().unwrap();
    other.item(b"").unwrap();
}

#[test]
fn a_sender_begins_an_item_only_while_it_has_credit_and_goes_below_zero_once() {
    let end = End::answered();
    end.send(&[0; 60_000]);
    end.send(&[0; 100_000]);
    end.sent();
    // In parts, which cost nothing more.
    let below = 60_000 + ITEM + 100_000 + ITEM - WINDOW;
    assert_eq!(end.is_ready(), Some(false));
    end.credit(below);
    assert_eq!(end.is_ready(), Some(false), "it stands at 0");
    end.credit(1);
    assert_eq!(end.is_ready(), Some(true));
}

#[test]
fn an_item_costs_its_bytes_and_32() {
    let end = End::server();
    end.item(&[0; WINDOW - ITEM]).unwrap();
    assert_eq!(end.item(b""), over_credit());
    let end = End::server();
    end.item(&[0; WINDOW - ITEM - 1]).unwrap();
    end.item(b"at a credit of 1").unwrap();
    assert_eq!(end.item(b""), over_credit());
}

#[test]
fn a_receiver_takes_the_other_parts_of_an_item_whatever_the_credit() {
    let end = End::server();
    end.begin(WINDOW, &[1; WINDOW - 1000]).unwrap();
    for _ in 0..999 {
        end.part(&[1]).unwrap();
    }
    // Its last part, and the next item with it.
    assert_eq!(end.data(0, &[1, 0, 0, 0, 0]), over_credit(), "the next item begins below 0");
    let end = End::server();
    end.begin(WINDOW, &[1; WINDOW - 1]).unwrap();
    end.part(&[1]).unwrap();
    assert!(end.take() == [vec![1; WINDOW]]);
}

#[test]
fn credit_is_given_back_for_half_a_window_and_as_it_was_charged() {
    let end = End::server();
    end.item(&[0; HALF - 1 - ITEM]).unwrap();
    end.take();
    assert_eq!(end.kinds(), []);
    end.item(b"").unwrap();
    assert_eq!(end.kinds(), [], "it came, and is not consumed");
    end.take();
    assert_eq!(end.kinds(), [(Kind::Credit, HALF - 1 + ITEM)]);
    end.begin(HALF + 10, &[0; HALF]).unwrap();
    assert_eq!(end.kinds(), [], "half an item cannot be consumed");
    end.part(&[0; 10]).unwrap();
    end.take();
    assert_eq!(end.kinds(), [(Kind::Credit, HALF + 10 + ITEM)]);
}

#[test]
fn a_receiver_that_consumes_all_lets_its_sender_go_on_for_ever() {
    let (sender, receiver) = (End::answered(), End::server());
    for round in 0..1000 {
        let item = vec![7; round * 131 % (3 * WINDOW / 4)];
        sender.send(&item);
        for (kind, flags, body) in sender.sent() {
            assert_eq!(kind, Kind::Data);
            receiver.data(flags, &body).unwrap();
        }
        assert_eq!(receiver.take(), [item]);
        for (kind, increment) in receiver.kinds() {
            assert_eq!(kind, Kind::Credit);
            assert!(sender.credit(increment), "each is paid for");
        }
    }
}

#[test]
fn no_credit_is_given_for_what_cannot_be_followed_by_more() {
    let ended = End::server();
    ended.item(&[0; HALF]).unwrap();
    ended.duplex.half_close().unwrap();
    ended.take();
    assert_eq!(ended.kinds(), []);
    let unread = End::server();
    unread.item(&[0; HALF]).unwrap();
    unread.duplex.stop_reading();
    unread.item(b"dropped").unwrap();
    assert_eq!(unread.kinds(), []);
    assert_eq!(unread.item(&[0; HALF]), Ok(()));
    assert_eq!(unread.item(b""), over_credit(), "what is dropped costs the same");
}

#[test]
fn a_credit_of_nothing_and_one_for_more_than_there_can_be_are_errors() {
    let end = End::answered();
    let bad = |increment| Err(ProtocolError::BadCredit { increment });
    assert_eq!(end.duplex.add_credit(0).map(drop), bad(0));
    let most = MAX_CREDIT - MIN_WINDOW;
    assert_eq!(end.duplex.add_credit(most + 1).map(drop), bad(most + 1));
    assert_eq!(end.duplex.add_credit(most).map(drop), Ok(()));
    assert_eq!(end.duplex.add_credit(1).map(drop), bad(1));
}

#[test]
fn frames_other_than_data_need_no_credit() {
    let end = End::answered();
    end.send(&[0; WINDOW]);
    end.sent();
    assert_eq!(end.is_ready(), Some(false));
    end.item(&[0; HALF]).unwrap();
    end.take();
    assert_eq!(end.kinds(), [(Kind::Credit, HALF + ITEM)]);
    end.duplex.finish();
    assert_eq!(end.kinds(), [(Kind::End, 0)]);
    end.duplex.give_up();
    assert_eq!(end.kinds(), [(Kind::Cancel, 0)]);
    let end = End::server();
    end.duplex.put_head(&Metadata::EMPTY).unwrap();
    assert_eq!(end.kinds(), [(Kind::Response, 0)]);
    end.send(&[0; WINDOW]);
    assert_eq!(end.is_ready(), Some(false), "the head has cost nothing, the item all");
}

#[test]
fn a_sender_waits_at_64_kib_that_have_not_gone_out_whatever_its_credit() {
    let peer = Limits { window: 100 * MIN_WINDOW, ..End::limits() };
    let end = End::opened_by(Hub::new(Side::Client, End::limits(), peer, None), Shape::Client);
    end.send(&[0; 40_000]);
    end.send(&[0; 40_000]);
    let (wakes, waker) = Wakes::new();
    assert!(end.duplex.poll_credit(&mut Context::from_waker(&waker)).is_pending());
    let (mut out, mut woken) = (Output::default(), Vec::new());
    end.hub.fill(end.hub.take(), &mut out, 1, &mut woken);
    woken.into_iter().for_each(Waker::wake);
    assert_eq!((wakes.count(), end.is_ready()), (1, Some(true)), "40,000 bytes wait");
}

#[test]
fn an_item_over_two_gibibytes_is_given_back_in_several_credits() {
    let (mut credit, mut window) =
        (crate::stream::credit::Credit::new(MIN_WINDOW), crate::stream::credit::Window::new(MIN_WINDOW));
    let item = crate::stream::credit::cost(3_000_000_000);
    credit.charge(item);
    assert!(window.begin(item));
    let end = End::server();
    end.duplex.state().owed = window.consume(item).unwrap();
    end.send(b"");
    for (kind, increment) in end.kinds() {
        if kind == Kind::Credit {
            credit.add(increment as u32).unwrap();
        }
    }
    assert!(credit.may_begin());
}

#[test]
fn a_sender_that_waits_for_credit_of_a_client_that_has_closed_its_side_is_told_that_none_comes() {
    let end = End::server();
    while end.is_ready() == Some(true) {
        end.send(&[0; 16 * 1024]);
        end.sent();
    }
    let (wakes, waker) = Wakes::new();
    assert!(end.duplex.poll_credit(&mut Context::from_waker(&waker)).is_pending());
    end.duplex.cut_off();
    assert_eq!((wakes.count(), end.is_ready()), (1, None));
    let end = End::server();
    end.duplex.cut_off();
    assert_eq!(end.is_ready(), Some(true), "it has credit");
}
