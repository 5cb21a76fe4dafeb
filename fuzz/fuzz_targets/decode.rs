//! Bodies from a peer, decoded as a type that has everything: no panic, no deep stack, memory in
//! proportion to the bytes, and what was decoded comes back from its own encoding.
//!
//! The first byte of the input is the format, the rest is the body.

#![no_main]
// A global allocator is `unsafe` by its trait, and there is no other way to see what a decode allocates.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rpc_core::format::{DecodeError, MAX_DEPTH, SPARE_ELEMENTS};
use rpc_core::{Body, Format};
use rpc_fuzz::{Record, Value};

/// A quarter of the stack that threads have, which `MAX_DEPTH` promises not to exceed.
const MOST_STACK: usize = 512 * 1024;

/// The largest element of a vector below.
const ELEMENT: usize =
    if size_of::<Value>() > size_of::<Record>() { size_of::<Value>() } else { size_of::<Record>() };

/// The most that one byte of a body becomes: a map has room for eleven entries from its first one on.
const NODE: usize = 12 * (size_of::<String>() + ELEMENT);

/// Errors, and what a decode allocates whatever it is given.
const SPARE_MEMORY: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((format, body)) = data.split_first() else { return };
    let format = Format::ALL[usize::from(*format) % Format::ALL.len()];
    if format == Format::Bincode {
        let octets = format.decode::<Vec<u8>>(Body::Borrowed(body)).ok();
        let shared = format.decode::<Bytes>(Body::Owned(Bytes::copy_from_slice(body))).ok();
        assert_eq!(octets.as_deref(), shared.as_deref(), "bytes are the same however they are taken");
    }
    let (value, used) = measured(|| format.decode::<Value>(Body::Borrowed(body)));
    assert!(used.memory <= memory_for(body.len()), "{} bytes of memory for {}", used.memory, body.len());
    assert!(used.stack <= MOST_STACK, "{} bytes of stack", used.stack);
    let Ok(value) = value else { return };

    let mut encoded = Vec::new();
    format.encode(&value, &mut encoded).expect("what was decoded can be encoded");
    match format.decode::<Value>(Body::Owned(Bytes::from(encoded.clone()))) {
        Ok(again) => {
            // Compared as bytes, so that a NaN is itself.
            let mut twice = Vec::new();
            format.encode(&again, &mut twice).expect("what was decoded can be encoded");
            assert_eq!(encoded, twice, "another value came back: {value:?}, {again:?}");
        }
        // The body was longer than it had to be, which allowed it more elements.
        Err(DecodeError::Elements { .. }) if encoded.len() < body.len() => {}
        Err(error) => panic!("{value:?} does not come back: {error}"),
    }
});

/// The most memory that a decode may take at a time.
///
/// What was decoded took a byte of the body at least. Elements that are only claimed are reserved by the
/// vectors that are being decoded, one in the other: each clamps its claim to the length of the body, and
/// all of them together claim no more than the budget of elements.
fn memory_for(length: usize) -> usize {
    let claimed = (MAX_DEPTH * length).min(length + SPARE_ELEMENTS);
    SPARE_MEMORY + length * NODE + claimed * ELEMENT
}

struct Used {
    memory: usize,
    stack: usize,
}

fn measured<T>(run: impl FnOnce() -> T) -> (T, Used) {
    let here = stack_pointer();
    // Far from 0, because what was taken before may be freed meanwhile.
    let before = 1 << 40;
    HELD.set(before);
    PEAK.set(before);
    LOWEST.set(here);
    let value = run();
    (value, Used { memory: PEAK.get() - before, stack: here - LOWEST.get() })
}

/// Where the stack is: every level of a decode that goes deep allocates, so it is seen from there.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here).addr()
}

struct Measuring;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static LOWEST: Cell<usize> = const { Cell::new(0) };
}

impl Measuring {
    fn took(size: usize) {
        let _ = HELD.try_with(|held| {
            held.set(held.get().wrapping_add(size));
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
        });
        let _ = LOWEST.try_with(|lowest| lowest.set(lowest.get().min(stack_pointer())));
    }

    fn gave(size: usize) {
        let _ = HELD.try_with(|held| held.set(held.get().wrapping_sub(size)));
    }
}

// SAFETY: every method passes its arguments to `System` unchanged and returns what it returns.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::took(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::took(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both exist for a moment.
        Self::took(size);
        Self::gave(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        Self::gave(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static MEASURING: Measuring = Measuring;
