//! What happens, and when.

use arbitrary::{Arbitrary, Unstructured};
use rpc_fuzz::WildFrame;

use crate::streams::OnStream;

/// What the table is given, in the order in which the input tells it.
#[derive(Debug)]
pub(crate) struct Input {
    /// The most calls in flight; from 128 on there are streams, too.
    pub(crate) max_calls: u8,
    /// How many bytes were written when the connection ends.
    pub(crate) written: u16,
    /// Of the client and the server.
    pub(crate) windows: [u8; 2],
    pub(crate) steps: Vec<Either>,
}

#[derive(Debug)]
pub(crate) enum Either {
    Step(Step),
    Stream(u8, OnStream),
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (max_calls, written) = (u.arbitrary()?, u.arbitrary()?);
        let streams = max_calls >= 128;
        let windows = if streams { u.arbitrary()? } else { [0; 2] };
        let mut steps = Vec::new();
        while !u.is_empty() {
            let which = if streams { u.arbitrary::<u8>()? } else { 0 };
            steps.push(match which % 4 > 0 {
                true => Either::Stream(which / 4, u.arbitrary()?),
                false => Either::Step(u.arbitrary()?),
            });
        }
        Ok(Self { max_calls, written, windows, steps })
    }
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    Open {
        method: u8,
        body: u8,
        shared: bool,
        waker: bool,
        micros: Option<u64>,
        metadata: bool,
        deadline: Option<u8>,
    },
    Poll(u8),
    Abandon(u8),
    /// A well-formed answer to a call that waits for one.
    Answer {
        which: u8,
        large: bool,
        body: Vec<u8>,
    },
    Frame(WildFrame),
    GoAway {
        back: u8,
    },
    AnswerPing,
    Wait {
        millis: u16,
    },
    Expire,
    Write {
        bytes: u16,
    },
    CancelAll,
}
