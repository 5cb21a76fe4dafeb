//! An allocator that counts, by side.
//!
//! The one file with `unsafe`: a global allocator cannot be written without it. It only counts and
//! hands on to the system's, with the same arguments.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whose allocations are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nobody's: set-up and reports.
    Neither = 0,
    /// The client's.
    Client = 1,
    /// The server's.
    Server = 2,
}

static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

thread_local! {
    // Constant and without a destructor: reading it never allocates.
    static SIDE: Cell<Side> = const { Cell::new(Side::Neither) };
}

/// From now on this thread allocates for `side`; returns whom it did before.
pub fn enter(side: Side) -> Side {
    SIDE.replace(side)
}

/// Allocations, and reallocations, for `side` so far.
#[must_use]
pub fn allocations(side: Side) -> u64 {
    COUNTS[side as usize].load(Ordering::Relaxed)
}

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

fn count() {
    COUNTS[SIDE.get() as usize].fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every method hands its arguments on to `System` unchanged, and returns what that returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}
