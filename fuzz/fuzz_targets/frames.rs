//! Streams of frames in any slices: the frames and the error are those of the whole, and memory follows
//! what arrived.
//!
//! The first four bytes of the input say how the stream is sliced and made; the rest is the stream. With
//! bit 1 of the fourth it is a list of frames in short form, six bytes each, so that a small input can
//! have large frames.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rpc_core::frame::Kind;
use rpc_core::input::Input;
use rpc_core::{CallId, ProtocolError};
use rpc_fuzz::Slicing;

/// What the input may hold beyond twice what arrived.
const SPARE: usize = 64 * 1024 + 1024 + 64;

/// Bytes that a stream in short form may become.
const LONGEST: usize = 160 * 1024;

type Seen = (Kind, u8, CallId, Vec<u8>);

fuzz_target!(|data: &[u8]| {
    let Some((&[first, second, stop_after, mode], bytes)) = data.split_first_chunk() else { return };
    let mut slicing = Slicing { sizes: [first, second], stop_after, direct: mode & 1 != 0 };
    let shrink = mode & 4 != 0;
    let limit = [u32::MAX, 1 << 20, 1 << 16, 100][usize::from(mode >> 4) % 4];
    let expanded;
    let bytes = if mode & 2 != 0 {
        expanded = expand(bytes);
        // In KiB, for a long stream that arrives byte by byte takes long.
        slicing.sizes[1] |= 128;
        &expanded
    } else {
        bytes
    };

    let whole = read(bytes, limit, &Slicing::WHOLE, false);
    assert_eq!(whole, read(bytes, limit, &slicing, shrink), "slices change what is read");
});

/// The frames of a stream, the error that ended it, and whether it ended between two frames.
fn read(
    bytes: &[u8],
    limit: u32,
    slicing: &Slicing,
    shrink: bool,
) -> (Vec<Seen>, Option<ProtocolError>, Option<bool>) {
    let (mut input, mut seen, mut kept) = (Input::new(limit), Vec::new(), 0);
    let result = slicing.feed(
        &mut input,
        bytes,
        |frame| seen.push((frame.kind, frame.flags, frame.id, frame.body.as_slice().to_vec())),
        |input, arrived| {
            let capacity = input.capacity();
            assert!(capacity <= 2 * (arrived - kept) + SPARE, "{capacity} bytes held for {arrived}");
            if shrink && input.is_empty() {
                input.shrink(0);
                assert_eq!(input.capacity(), 0);
                kept = arrived;
            }
        },
    );
    let ended = result.is_ok().then(|| input.is_empty());
    (seen, result.err(), ended)
}

/// Six bytes for each frame: kind, flags, id, length of the body (2), what it is filled
/// with. Less than six stand as they are.
fn expand(bytes: &[u8]) -> Vec<u8> {
    let (mut stream, mut rest) = (Vec::new(), bytes);
    while let Some((&[kind, flags, id, high, low, fill], after)) = rest.split_first_chunk()
        && stream.len() < LONGEST
    {
        rest = after;
        // Most lengths are small: the large ones cost time.
        let len = match high {
            0..224 => usize::from(low),
            224.. => usize::from(high - 223) * 4096 + usize::from(low),
        };
        stream.extend_from_slice(&(10 + len as u32).to_be_bytes());
        stream.extend_from_slice(&[kind, flags, 0, 0, 0, 0, 0, id, 0, 0]);
        stream.resize(stream.len() + len, fill);
    }
    stream.extend_from_slice(rest);
    stream
}
