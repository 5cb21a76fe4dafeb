use super::*;

fn filled(capacities: &[usize], spare: &Spare) {
    capacities.iter().for_each(|capacity| spare.put(Vec::with_capacity(*capacity)));
}

#[test]
fn a_buffer_comes_back_with_the_last_clone_of_its_bytes() {
    static SPARE: Spare = Spare::new(1000);
    let mut reader = Borrower::new(&SPARE);
    let buffer = vec![7; 100];
    let place = buffer.as_ptr();
    let bytes = reader.filled(buffer);
    let part = bytes.slice(90..);
    drop(bytes);
    assert!(reader.borrow(100).is_none());
    assert_eq!(&part[..], [7; 10]);
    drop(part);
    let again = reader.borrow(100).unwrap();
    assert!(again.as_ptr() == place && again.is_empty());
}

#[test]
fn the_oldest_buffers_make_room_and_one_that_is_too_large_is_not_kept() {
    let spare = Spare::new(1000);
    filled(&[300, 400, 300, 250, 1001], &spare);
    let kept: Vec<_> = spare.lock().buffers.iter().map(Vec::capacity).collect();
    assert_eq!((kept, spare.lock().kept), (vec![400, 300, 250], 950));
}

#[test]
fn the_smallest_that_fits_is_borrowed_and_none_that_is_far_too_large() {
    static SPARE: Spare = Spare::new(1000);
    filled(&[300, 100, 200], &SPARE);
    let taken = [150, 150, 200, 80].map(|capacity| {
        let buffer = Borrower::new(&SPARE).borrow(capacity);
        buffer.map(|buffer| buffer.capacity())
    });
    assert_eq!(taken, [Some(200), None, Some(300), Some(100)]);
}

#[test]
fn what_is_borrowed_for_bodies_that_do_not_come_is_not_made_up_for() {
    static SPARE: Spare = Spare::new(1000);
    filled(&[600], &SPARE);
    let mut silent = Borrower::new(&SPARE);
    let held = silent.borrow(600).unwrap();
    filled(&[300, 300, 500], &SPARE);
    let kept = || SPARE.lock().buffers.iter().map(Vec::capacity).collect::<Vec<_>>();
    assert_eq!(kept(), [300]);
    drop((silent, held));
    filled(&[500], &SPARE);
    assert_eq!(kept(), [300, 500]);
    assert_eq!(SPARE.lock().borrowed, 0);
}

#[test]
fn a_reader_has_one_buffer_at_a_time() {
    static SPARE: Spare = Spare::new(1000);
    filled(&[100, 200], &SPARE);
    let mut reader = Borrower::new(&SPARE);
    reader.borrow(100).unwrap();
    let second = reader.borrow(200).unwrap();
    assert_eq!(SPARE.lock().borrowed, 200);
    drop(reader.filled(second));
    let State { kept, borrowed, .. } = &*SPARE.lock();
    assert_eq!((*kept, *borrowed), (200, 0));
}
