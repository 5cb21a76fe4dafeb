use std::collections::BTreeMap;

use rpc_core::CallId;
use rpc_core::frame::{Frame, HEADER_LEN, Kind};

use crate::{Flow, Verdict};

/// What one side has sent on its streams, as its peer finds it.
#[derive(Debug, Default)]
pub struct Wire {
    streams: BTreeMap<CallId, Sent>,
}

#[derive(Debug)]
struct Sent {
    flow: Flow,
    /// Credit that was given.
    given: u64,
}

impl Wire {
    /// Takes a Data, End or Credit.
    ///
    /// # Panics
    /// When no peer would.
    pub fn take(&mut self, frame: &Frame<'_>, max_frame: u32) {
        let new = || Sent { flow: Flow::reader(), given: 0 };
        let Sent { flow, given } = self.streams.entry(frame.id).or_insert_with(new);
        if frame.kind == Kind::Credit {
            *given += u64::from(u32::from_be_bytes(*frame.body.as_slice().first_chunk().expect("4 bytes")));
            return;
        }
        assert!(frame.body.as_slice().len() + HEADER_LEN <= max_frame as usize, "over the limit");
        assert_eq!(flow.receive(frame, usize::MAX), Verdict::Fine);
    }

    /// Compares with what a stream was told to send, and with the credit that it was to give.
    ///
    /// # Panics
    /// When it is something else.
    pub fn check(&self, id: CallId, items: &[Vec<u8>], credit: u64) {
        let Some(Sent { flow, given }) = self.streams.get(&id) else { return };
        assert!(*given <= credit, "{id}: more credit than was consumed");
        assert!(flow.items.len() <= items.len() && flow.items.iter().zip(items).all(|(a, b)| a == b));
        assert!(!flow.closed || flow.items.len() == items.len(), "{id}: an End before the last item");
    }
}
