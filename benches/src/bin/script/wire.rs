//! What lies between the two sides, in place of a socket. Its memory is nobody's.

use std::io::IoSlice;

use anyhow::Result;
use rpc_core::frame::Frame;
use rpc_core::input::Input;
use rpc_core::output::Output;

/// Bytes that one read takes at the most, as both shells have it.
const CHUNK: usize = 64 * 1024;

/// Slices of one write.
const SLICES: usize = 32;

/// Bytes on their way from one side to the other.
#[derive(Default)]
pub(crate) struct Wire {
    bytes: Vec<u8>,
}

impl Wire {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes all that waits, in place of what was there.
    pub(crate) fn carry(&mut self, out: &mut Output) {
        self.bytes.clear();
        while !out.is_empty() {
            let (mut slices, before) = ([IoSlice::new(&[]); SLICES], self.bytes.len());
            let count = out.slices(&mut slices);
            slices[..count].iter().for_each(|slice| self.bytes.extend_from_slice(slice));
            out.advance(self.bytes.len() - before);
        }
    }
}

/// Hands on all frames of what came, read as from a socket: into the input where that asks for it.
pub(crate) fn receive(
    input: &mut Input,
    mut came: &[u8],
    mut take: impl FnMut(Frame<'_>) -> Result<()>,
) -> Result<()> {
    while !came.is_empty() {
        let direct = input.direct();
        let most = direct.as_ref().map_or(CHUNK, |(_, most)| *most);
        let (read, rest) = came.split_at(most.min(came.len()));
        came = rest;
        let (chunk, mut at) = match direct {
            Some((tail, _)) => {
                copy(tail, read);
                (&[][..], 0)
            }
            None => (read, 0),
        };
        while let Some(frame) = input.next(chunk, &mut at)? {
            take(frame)?;
        }
    }
    Ok(())
}

/// What the kernel does when it is read from, into memory that is there. The guard leaves these
/// instructions out, so it is never merged into another function.
#[inline(never)]
fn copy(tail: &mut Vec<u8>, read: &[u8]) {
    tail.extend_from_slice(read);
}
