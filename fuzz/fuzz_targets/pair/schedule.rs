//! What happens, and when.

use arbitrary::{Arbitrary, Unstructured};
use rpc_core::output::Output;
use rpc_fuzz::Slicing;

use crate::streams;

/// What is decided, in the order in which the input tells it.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The most calls in flight; from 128 on there are streams, too.
    pub(crate) max_calls: u8,
    /// Whether the connection breaks in the end.
    pub(crate) break_off: bool,
    /// Of the server and the client, where there are streams.
    pub(crate) windows: [u8; 2],
    pub(crate) steps: Vec<Either>,
}

#[derive(Debug)]
pub(crate) enum Either {
    Step(Step),
    Stream(streams::Step),
}

impl<'a> Arbitrary<'a> for Schedule {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (max_calls, break_off) = (u.arbitrary()?, u.arbitrary()?);
        let streams = max_calls >= 128;
        let windows = if streams { u.arbitrary()? } else { [0; 2] };
        let mut steps = Vec::new();
        while !u.is_empty() {
            steps.push(match streams && u.arbitrary::<u8>()? % 4 > 0 {
                true => Either::Stream(u.arbitrary()?),
                false => Either::Step(u.arbitrary()?),
            });
        }
        Ok(Self { max_calls, break_off, windows, steps })
    }
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    Open { method: u8, large: bool, millis: Option<u8>, metadata: bool },
    ServerReads { count: u16, slicing: Slicing },
    ClientReads { count: u16, slicing: Slicing },
    Answer { which: u8, how: Answer },
    Abandon(u8),
    Take(u8),
    Ping { client: bool },
    GoAway,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Answer {
    Small,
    Large,
    Status,
}

/// Smaller ones than can be announced: much happens in few bytes.
pub(crate) fn window(byte: u8) -> u32 {
    [1, 64, 200, 1_000, 5_000, 65_536, 200_000, 1 << 20][usize::from(byte) % 8]
}

/// So many bytes, as far as there are, on their way to the other side.
pub(crate) fn cross(out: &mut Output, count: usize) -> Vec<u8> {
    let mut bytes = out.to_vec();
    bytes.truncate(count);
    out.advance(bytes.len());
    bytes
}
