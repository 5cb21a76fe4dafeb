//! Bodies in bincode, by us and by version 2 of the crate, which is another implementation of the same format: they take
//! the same bodies, for the same values, and encode them alike.

#![no_main]

use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
use bincode::serde::{decode_from_slice, encode_to_vec};
use libfuzzer_sys::fuzz_target;
use rpc_core::format::DecodeError;
use rpc_core::{Body, Format};
use rpc_fuzz::Value;

/// Without a limit of the memory that it takes, a few bytes that claim 2^62 end the process.
const THEIRS: Configuration<LittleEndian, Varint, Limit<{ 1 << 24 }>> = standard().with_limit();

fuzz_target!(|body: &[u8]| {
    let ours = Format::Bincode.decode::<Value>(Body::Borrowed(body));
    // They have no such limits: they would overflow the stack, or spin.
    if matches!(ours, Err(DecodeError::Depth { .. } | DecodeError::Elements { .. })) {
        return;
    }
    let theirs = decode_from_slice::<Value, _>(body, THEIRS).ok().filter(|(_, read)| *read == body.len());
    match (ours, theirs) {
        (Ok(ours), theirs) => {
            let mut encoded = Vec::new();
            Format::Bincode.encode(&ours, &mut encoded).expect("what was decoded can be encoded");
            // Compared as bytes, so that a NaN is itself.
            let other = encode_to_vec(&ours, THEIRS).expect("what was decoded can be encoded");
            assert_eq!(encoded, other, "{ours:?} is encoded in two ways");
            match theirs {
                Some((theirs, _)) => {
                    let again = encode_to_vec(&theirs, THEIRS).expect("what was decoded can be encoded");
                    assert_eq!(encoded, again, "two values of one body: {ours:?}, {theirs:?}");
                }
                // They refuse a number with a longer prefix than its type can have, which no encoder writes; what we
                // write for it, they take.
                None => {
                    assert_ne!(encoded, body, "only we take it: {ours:?}");
                    let (again, _) =
                        decode_from_slice::<Value, _>(&encoded, THEIRS).expect("they take what we write");
                    assert_eq!(
                        encoded,
                        encode_to_vec(&again, THEIRS).expect("what was decoded can be encoded")
                    );
                }
            }
        }
        (Err(_), None) => {}
        (Err(error), Some((theirs, _))) => panic!("only they take it: {theirs:?}; for us {error}"),
    }
});
