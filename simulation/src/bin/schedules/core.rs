//! The core as its own files see it: what it keeps to itself stands here again.

pub(crate) use rpc_core::{body, call_id, format, limits, metadata, output, status};

pub(crate) mod frame {
    pub(crate) use rpc_core::frame::*;

    use rpc_core::CallId;
    use rpc_core::output::Output;

    /// What stands before the body of a frame.
    pub(crate) fn prefix(kind: Kind, flags: u8, id: CallId, len: usize) -> [u8; PREFIX_LEN] {
        let mut out = Output::default();
        out.put(kind, flags, id, &vec![0; len]);
        *out.to_vec().first_chunk().expect("a frame is as long at least")
    }
}

pub(crate) mod message {
    use rpc_core::Metadata;

    /// Nobody has any here.
    pub(crate) fn write_metadata(_: &mut Vec<u8>, metadata: &Metadata) -> u8 {
        assert!(metadata.is_empty());
        0
    }
}

pub(crate) mod planted {
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(crate) use rpc_core::planted::Bug;

    /// Whether the peer is never told that items were consumed: on any thread, as shuttle has many.
    pub(crate) static LEAKS_CREDIT: AtomicBool = AtomicBool::new(false);

    pub(crate) fn bites(bug: Bug) -> bool {
        bug == Bug::CreditLeak && LEAKS_CREDIT.load(Ordering::Relaxed)
    }
}
