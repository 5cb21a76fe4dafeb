use std::collections::VecDeque;

use rpc_core::ProtocolError;
use rpc_core::frame::{Frame, Kind, flags};
use rpc_core::stream::{FRAME_COST, MAX_CREDIT};

/// One direction of a stream, by the rules for whoever receives on it, and of the credit for the other one.
///
/// Written from the protocol, not from the code.
#[derive(Debug)]
pub struct Flow {
    max_frame: usize,
    /// What the peer may send before it breaks a rule.
    left: i64,
    own: u32,
    consumed: u64,
    in_item: bool,
    partial: Vec<u8>,
    /// Items that are to be read, with what they cost.
    pub items: VecDeque<(Vec<u8>, u64)>,
    partial_cost: u64,
    /// What comes is dropped.
    pub discards: bool,
    /// The peer has sent its End.
    pub closed: bool,
    /// What this side may send.
    pub credit: i64,
}

/// What a frame may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Fine,
    /// It is taken, unless the peer has sent too many of its kind.
    Unpaid,
    /// It ends the connection.
    Breach,
}

impl Verdict {
    /// Checks what became of the frame.
    ///
    /// # Panics
    /// When that is something else.
    pub fn check<T>(self, result: &Result<T, ProtocolError>) {
        match (self, result) {
            (Verdict::Fine | Verdict::Unpaid, Ok(_)) => {}
            (Verdict::Unpaid, Err(ProtocolError::CalmDown { .. })) => {}
            (Verdict::Breach, Err(error)) => {
                assert!(!matches!(error, ProtocolError::CalmDown { .. }), "{error:?} instead of a breach");
            }
            (Verdict::Fine, Err(error)) => panic!("a fair frame is a breach: {error:?}"),
            (Verdict::Unpaid, Err(error)) => panic!("{error:?} for an unpaid frame"),
            (Verdict::Breach, Ok(_)) => panic!("a breach was taken"),
        }
    }
}

impl Flow {
    /// With the windows of this side and of the peer.
    #[must_use]
    pub fn new(own: u32, peer: u32, max_frame: u32) -> Self {
        Self {
            max_frame: max_frame as usize,
            left: own.into(),
            own,
            consumed: 0,
            in_item: false,
            partial: Vec::new(),
            items: VecDeque::new(),
            partial_cost: 0,
            discards: false,
            closed: false,
            credit: peer.into(),
        }
    }

    /// A Data, End or Credit came while the stream is open.
    pub fn receive(&mut self, frame: &Frame<'_>) -> Verdict {
        let body = frame.body.as_slice();
        match frame.kind {
            Kind::Data => self.data(frame.flags, body),
            Kind::End if self.closed || self.in_item => Verdict::Breach,
            Kind::End => {
                self.closed = true;
                Verdict::Fine
            }
            _ => {
                let Some(increment) = body.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)) else {
                    return Verdict::Breach;
                };
                if increment == 0 || self.credit + i64::from(increment) > MAX_CREDIT.into() {
                    return Verdict::Breach;
                }
                self.credit += i64::from(increment);
                Verdict::Unpaid
            }
        }
    }

    fn data(&mut self, flags: u8, body: &[u8]) -> Verdict {
        let (cost, last) = (body.len() as i64 + i64::from(FRAME_COST), flags & flags::MORE == 0);
        let begins = !self.in_item;
        if self.closed || !last && body.is_empty() || begins && self.left <= 0 {
            return Verdict::Breach;
        }
        self.left -= cost;
        self.in_item = !last;
        if flags & flags::COMPRESSED != 0 || self.partial.len() + body.len() > self.max_frame {
            self.discards = true;
        }
        if !self.discards {
            self.partial.extend_from_slice(body);
            self.partial_cost += cost as u64;
            if last {
                let item = std::mem::take(&mut self.partial);
                self.items.push_back((item, std::mem::take(&mut self.partial_cost)));
            }
        }
        Verdict::Fine
    }

    /// This side has consumed so much: half a window at a time, the peer is to be told.
    pub fn consume(&mut self, cost: u64) {
        self.consumed += cost;
        if self.consumed >= u64::from(self.own / 2) {
            self.left += std::mem::take(&mut self.consumed) as i64;
        }
    }
}
