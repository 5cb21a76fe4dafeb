use arbitrary::Arbitrary;
use bytes::Bytes;
use rpc_core::frame::{Frame, Kind};
use rpc_core::{Body, CallId};

const KINDS: [Kind; 10] = [
    Kind::Request,
    Kind::Response,
    Kind::Status,
    Kind::Cancel,
    Kind::Data,
    Kind::End,
    Kind::Credit,
    Kind::Ping,
    Kind::Pong,
    Kind::GoAway,
];

/// What well-formed bodies begin with.
const STARTS: [&[u8]; 10] = [
    b"",
    b"\0\x01",
    b"\0\x01\0\0\0\0\0\0\0\0\x03A.B",
    b"\0\x02\0\0\0\0\0\0\0\0\x03A.C",
    b"\0\0\0\0\0\0\0\0\0\0\x03A.B",
    b"\0\0\0\0\0\0\0\0\0\0\x03A.B\0\0\0\0\0\0\0\x01\0\x05\x01k\0\x01v",
    b"\0\x05\x01k\0\x01v",
    b"\x02\x02\0\0\0\x02no",
    b"\0\x05\x01k\0\x01v\x02\x02\0\0\0\x02no",
    b"\x02\x02\xff\xff\xff\xff",
];

/// A frame of any kind for any call, near enough to a valid one to get past the first check.
#[derive(Arbitrary, Debug)]
pub struct WildFrame {
    kind: u8,
    flags: u8,
    id: WildId,
    start: u8,
    rest: Vec<u8>,
    owned: bool,
}

#[derive(Arbitrary, Debug)]
enum WildId {
    /// One of the ids that the target names.
    Known(u8),
    /// The same with another counter or slot.
    Beside {
        known: u8,
        counter: i8,
        slot: i8,
    },
    /// Among the last that a connection can have.
    Top {
        back: u8,
        slot: u16,
    },
    ServerSide(u16),
    Any(u64),
}

impl WildFrame {
    /// The frame, with an id of `known` or beside one where it asks for that. A body that is to be
    /// borrowed is put into `buffer`.
    #[must_use]
    pub fn frame<'a>(&self, known: &[CallId], buffer: &'a mut Vec<u8>) -> Frame<'a> {
        buffer.clear();
        buffer.extend_from_slice(STARTS[usize::from(self.start) % STARTS.len()]);
        buffer.extend_from_slice(&self.rest);
        let body =
            if self.owned { Body::Owned(Bytes::copy_from_slice(buffer)) } else { Body::Borrowed(buffer) };
        let kind = KINDS[usize::from(self.kind) % KINDS.len()];
        Frame { kind, flags: self.flags, id: self.id.id(known), body }
    }
}

impl WildId {
    fn id(&self, known: &[CallId]) -> CallId {
        let pick = |at: u8| match known.len() {
            0 => CallId::NONE,
            len => known[usize::from(at) % len],
        };
        match *self {
            WildId::Known(at) => pick(at),
            WildId::Beside { known, counter, slot } => {
                let id = pick(known);
                let counter = id.counter().wrapping_add_signed(counter.into());
                CallId::client(counter, id.slot().wrapping_add_signed(slot.into()))
            }
            WildId::Top { back, slot } => {
                CallId::client(rpc_core::call_id::MAX_COUNTER - u64::from(back), slot)
            }
            WildId::ServerSide(low) => CallId::from_wire(1 << 63 | u64::from(low) << 16),
            WildId::Any(raw) => CallId::from_wire(raw),
        }
    }
}
