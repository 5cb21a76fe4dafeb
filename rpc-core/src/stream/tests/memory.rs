//! What came and was not consumed counts as memory, and no longer than that.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An item of so many bytes begins, of which all or the half comes.
    Data(usize, bool),
    /// So much more of an item comes.
    Part(usize),
    /// So many items are taken; all but the last of them are consumed if it says so.
    Take(usize, bool),
    HalfClose,
    StopReading,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop_oneof![0..50usize, 0..20_000usize], any::<bool>()).prop_map(|(len, more)| Step::Data(len, more)),
        2 => (1..20_000usize).prop_map(Step::Part),
        4 => (0..5usize, any::<bool>()).prop_map(|(count, all)| Step::Take(count, all)),
        1 => Just(Step::HalfClose),
        1 => Just(Step::StopReading),
        1 => Just(Step::End),
    ]
}

/// A server's streams that share so much memory, and how much of it is in use.
fn sharing(max: usize) -> (Arc<Hub>, Arc<AtomicUsize>) {
    let used = Arc::new(AtomicUsize::new(0));
    let memory = Memory { used: used.clone(), max };
    (Hub::new(Side::Server, End::limits(), End::limits(), Some(memory)), used)
}

proptest! {
    #[test]
    fn all_memory_is_given_back_whatever_happens_to_the_streams(
        steps in prop::collection::vec((0..3usize, step()), 0..80),
        max in prop_oneof![Just(usize::MAX), 0..100_000usize],
    ) {
        let (hub, used) = sharing(max);
        let streams: Vec<_> = (0..3).map(|_| End::served_by(hub.clone())).collect();
        let mut batches: Vec<_> = (0..3).map(|_| Batch::default()).collect();
        for (at, step) in steps {
            let (end, batch) = (&streams[at], &mut batches[at]);
            match step {
                // What breaks a rule ends the connection, and all streams with it.
                Step::Data(len, half) => drop(end.begin(len, &vec![0; if half { len / 2 } else { len }])),
                Step::Part(len) => drop(end.part(&vec![0; len])),
                Step::Take(count, all) => {
                    let mut cx = Context::from_waker(Waker::noop());
                    if batch.is_empty() {
                        let _ = end.duplex.poll_items(&mut cx, batch);
                    }
                    for left in (0..count).rev() {
                        let Some((len, _)) = batch.pop() else { break };
                        if left > 0 || all {
                            end.duplex.consume(1, len as u64);
                        }
                    }
                }
                Step::HalfClose => drop(end.duplex.half_close()),
                Step::StopReading => end.duplex.stop_reading(),
                Step::End => end.duplex.end(Outcome::GivenUp, &mut Vec::new()),
            }
            prop_assert!(used.load(Ordering::Relaxed) <= max, "{step:?}");
        }
        hub.close();
        drop((streams, batches));
        prop_assert_eq!(used.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn what_came_counts_until_it_is_consumed_or_nobody_wants_it() {
    let (hub, used) = sharing(usize::MAX);
    let (one, other) = (End::served_by(hub.clone()), End::served_by(hub));
    let used = || used.load(Ordering::Relaxed);
    one.item(&[0; 1000]).unwrap();
    other.begin(2500, &[0; 2000]).unwrap();
    assert_eq!(used(), 3000 + 2 * HEAD, "no more than came, whatever was claimed");
    one.take();
    assert_eq!(used(), 2000 + HEAD);
    other.duplex.stop_reading();
    other.part(&[0; 500]).unwrap();
    assert_eq!(used(), 0);
}

#[test]
fn a_stream_for_whose_item_there_is_no_memory_ends_alone() {
    let (hub, used) = sharing(3000);
    let (one, other) = (End::served_by(hub.clone()), End::served_by(hub));
    one.item(&[1; 2000]).unwrap();
    other.item(&[2; 900]).unwrap();
    other.item(&[2; 100]).unwrap();
    other.item(b"after that").unwrap();
    assert_eq!(other.take(), [vec![2; 900]]);
    assert_eq!(other.fault(), Fault::OutOfMemory);
    assert_eq!(one.take(), [vec![1; 2000]]);
    one.item(&[1; 2900]).unwrap();
    assert_eq!(used.load(Ordering::Relaxed), 2900 + HEAD);
}

#[test]
fn a_stream_with_something_to_send_does_not_outlast_its_connection() {
    let (hub, used) = sharing(usize::MAX);
    let end = End::served_by(hub.clone());
    end.item(&[0; HALF]).unwrap();
    end.send(b"waits to go out");
    let idle = End::served_by(hub.clone());
    let duplex = Arc::downgrade(&end.duplex);
    hub.close();
    idle.send(b"too late to stand there");
    drop((end, idle));
    assert!(duplex.upgrade().is_none());
    assert_eq!((used.load(Ordering::Relaxed), Arc::strong_count(&hub)), (0, 1));
}
