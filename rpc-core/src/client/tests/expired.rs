//! Calls whose time is up.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

impl Client {
    fn open_for(&mut self, time: Duration) -> CallId {
        let id = self.open();
        self.calls.set_deadline(id, self.now + time);
        id
    }

    fn expire_after(&mut self, time: Duration) {
        let later = self.now + time;
        self.calls.expire(later, &mut self.out, &mut self.woken);
    }

    fn is_expired(&mut self, id: CallId) -> bool {
        matches!(self.poll(id), Poll::Ready(Outcome::Expired))
    }
}

#[test]
fn a_call_whose_time_is_up_wakes_its_caller_and_is_cancelled_once() {
    let mut client = Client::new();
    let (id, other) = (client.open_for(SECOND), client.open_for(SECOND * 2));
    assert!(client.poll(id).is_pending());
    client.sent();
    client.expire_after(SECOND);
    assert_eq!(client.woken.len(), 1);
    assert!(client.is_expired(id) && client.poll(other).is_pending());
    let cancels: Vec<_> = client.sent().into_iter().map(|sent| (sent.kind, sent.id)).collect();
    assert_eq!(cancels, [(Kind::Cancel, id)]);
    client.calls.abandon(id, &mut client.out);
    client.expire_after(SECOND);
    assert!(client.out.is_empty());
}

#[test]
fn the_next_deadline_is_the_first_of_the_open_calls_once_it_was_looked_for() {
    let mut client = Client::new();
    assert_eq!(client.calls.next_deadline(), None);
    let start = client.now;
    let first = client.open_for(SECOND);
    client.open_for(SECOND * 3);
    client.open();
    assert_eq!(client.calls.next_deadline(), Some(start + SECOND));
    client.respond(first, b"");
    client.expire_after(SECOND);
    assert_eq!((client.calls.next_deadline(), client.woken.len()), (Some(start + SECOND * 3), 0));
    client.expire_after(SECOND * 3);
    assert_eq!((client.calls.next_deadline(), client.calls.in_flight()), (None, 2));
}

#[test]
fn slot_and_count_are_held_until_the_terminal_frame() {
    let mut client = Client::with_room_for(1);
    let id = client.open_for(SECOND);
    client.expire_after(SECOND);
    assert!(client.is_expired(id));
    assert_eq!((client.calls.in_flight(), client.calls.room()), (1, 0));
    client.respond(id, b"late");
    assert_eq!((client.calls.in_flight(), client.calls.room()), (0, 1));
}

#[test]
fn an_answer_that_comes_before_the_caller_looks_is_too_late() {
    let mut client = Client::new();
    let id = client.open_for(SECOND);
    client.expire_after(SECOND);
    client.respond(id, b"late");
    assert!(client.is_expired(id));
    assert_eq!((client.calls.in_flight(), client.calls.free.len()), (0, 1));
}

#[test]
fn a_caller_that_goes_away_from_an_expired_call_leaves_it_to_its_terminal_frame() {
    let mut client = Client::new();
    let id = client.open_for(SECOND);
    client.expire_after(SECOND);
    client.sent();
    client.calls.abandon(id, &mut client.out);
    assert!(client.out.is_empty());
    client.respond(id, b"late");
    assert_eq!((client.calls.in_flight(), client.calls.free.len()), (0, 1));
}

#[test]
fn a_slot_does_not_hand_its_deadline_on() {
    let mut client = Client::new();
    let first = client.open_for(SECOND);
    client.respond(first, b"");
    client.body(first);
    let second = client.open();
    assert_eq!(first.slot(), second.slot());
    client.expire_after(SECOND * 9);
    assert!(client.poll(second).is_pending());
}
