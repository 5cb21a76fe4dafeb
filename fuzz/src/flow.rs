use std::collections::VecDeque;

use rpc_core::ProtocolError;
use rpc_core::frame::{Frame, Kind, flags};
use rpc_core::stream::{ITEM_COST, MAX_CREDIT};

/// One direction of a stream, by the rules for whoever receives on it, and of the credit for the other one.
///
/// Written from the protocol, not from the code.
#[derive(Debug)]
pub struct Flow {
    max_frame: u32,
    own: u32,
    consumed: u64,
    /// What the peer may send before it breaks a rule.
    pub left: i64,
    /// Bytes that have not come of the item that has begun.
    pub missing: usize,
    partial: Vec<u8>,
    /// Items that are to be read.
    pub items: VecDeque<Vec<u8>>,
    /// So many of the last ones may be missing: they came in the frame that broke a rule.
    doubtful: usize,
    /// What comes is dropped.
    pub discards: bool,
    /// That is so because of what came.
    pub faulty: bool,
    /// The peer has sent its End.
    pub closed: bool,
    /// What this side may send.
    pub credit: i64,
    /// What the peer is to be given, in all.
    pub given: u64,
}

/// What a frame may come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Fine,
    /// It is taken, unless the peer has sent too many of its kind.
    Unpaid,
    /// The peer has sent too many of its kind.
    Excess,
    /// It ends the connection.
    Breach,
    /// It ends the connection, with this.
    Error(ProtocolError),
}

impl Verdict {
    /// Checks what became of the frame.
    ///
    /// # Panics
    /// When that is something else.
    pub fn check<T>(self, result: &Result<T, ProtocolError>) {
        match (self, result) {
            (Verdict::Fine | Verdict::Unpaid, Ok(_)) => {}
            (Verdict::Unpaid | Verdict::Excess, Err(ProtocolError::CalmDown { .. })) => {}
            (Verdict::Breach, Err(error)) => {
                assert!(!matches!(error, ProtocolError::CalmDown { .. }), "{error:?} instead of a breach");
            }
            (Verdict::Error(expected), Err(error)) => assert_eq!(*error, expected),
            (Verdict::Fine, Err(error)) => panic!("a fair frame is a breach: {error:?}"),
            (Verdict::Unpaid | Verdict::Excess, Err(error)) => panic!("{error:?} for an unpaid frame"),
            (Verdict::Excess, Ok(_)) => panic!("more than the budget was taken"),
            (Verdict::Breach | Verdict::Error(_), Ok(_)) => panic!("a breach was taken"),
        }
    }
}

impl Flow {
    /// With the windows of this side and of the peer.
    #[must_use]
    pub fn new(own: u32, peer: u32, max_frame: u32) -> Self {
        Self {
            max_frame,
            own,
            consumed: 0,
            left: own.into(),
            missing: 0,
            partial: Vec::new(),
            items: VecDeque::new(),
            doubtful: 0,
            discards: false,
            faulty: false,
            closed: false,
            credit: peer.into(),
            given: 0,
        }
    }

    /// Of somebody who takes whatever is well-formed.
    #[must_use]
    pub fn reader() -> Self {
        Self { left: i64::MAX, ..Self::new(0, 0, u32::MAX) }
    }

    /// A Data, End or Credit came while the stream is open, and `memory` is what there is for it.
    pub fn receive(&mut self, frame: &Frame<'_>, memory: usize) -> Verdict {
        let body = frame.body.as_slice();
        match frame.kind {
            Kind::Data if self.closed => Verdict::Breach,
            Kind::Data if frame.flags & flags::COMPRESSED != 0 => {
                Verdict::Error(ProtocolError::UnknownFlags { kind: Kind::Data, flags: frame.flags })
            }
            Kind::Data => {
                if !self.discards && body.len() > memory {
                    self.fail();
                }
                let before = self.items.len();
                match self.data(frame, body) {
                    Ok(()) => Verdict::Fine,
                    Err(error) => {
                        self.doubtful = self.items.len() - before;
                        Verdict::Error(error)
                    }
                }
            }
            Kind::End if self.closed || self.missing > 0 => Verdict::Breach,
            Kind::End => {
                self.closed = true;
                Verdict::Fine
            }
            _ => {
                let Some(increment) = body.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)) else {
                    return Verdict::Breach;
                };
                if increment == 0 || self.credit + i64::from(increment) > MAX_CREDIT.into() {
                    return Verdict::Error(ProtocolError::BadCredit { increment });
                }
                self.credit += i64::from(increment);
                Verdict::Unpaid
            }
        }
    }

    fn data(&mut self, frame: &Frame<'_>, mut body: &[u8]) -> Result<(), ProtocolError> {
        let broken = ProtocolError::Truncated { kind: Kind::Data, field: "item length" };
        if body.is_empty() {
            return Err(broken);
        }
        while !body.is_empty() {
            if self.missing == 0 {
                let (head, rest) = body.split_first_chunk::<4>().ok_or_else(|| broken.clone())?;
                let len = u32::from_be_bytes(*head);
                if self.left <= 0 {
                    return Err(ProtocolError::OverCredit { id: frame.id });
                }
                self.left -= i64::from(len) + i64::from(ITEM_COST);
                if len > self.max_frame && !self.discards {
                    self.fail();
                }
                (self.missing, body) = (len as usize, rest);
            }
            let (part, rest) = body.split_at(self.missing.min(body.len()));
            self.missing -= part.len();
            body = rest;
            if !self.discards {
                self.partial.extend_from_slice(part);
                if self.missing == 0 {
                    self.items.push_back(std::mem::take(&mut self.partial));
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self) {
        self.discards = true;
        self.faulty = true;
    }

    /// This side has consumed so many items of so many bytes: half a window at a time, the peer is to be told.
    pub fn consume(&mut self, items: u64, bytes: u64) {
        // What may not come any more needs no credit.
        if self.discards || self.closed {
            return;
        }
        self.consumed += bytes + items * u64::from(ITEM_COST);
        if self.consumed >= u64::from(self.own / 2) {
            let increment = std::mem::take(&mut self.consumed);
            self.left += increment as i64;
            self.given += increment;
        }
    }

    /// Takes an item that was read.
    ///
    /// # Panics
    /// When it is not the next one.
    pub fn take(&mut self, len: usize, item: &[u8]) {
        let expected = self.items.pop_front().expect("it came");
        assert!(item == expected, "an item of {} bytes instead of {}", item.len(), expected.len());
        assert_eq!(len, item.len());
    }

    /// Whether all items that came for certain were read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.items.len() <= self.doubtful
    }

    /// The length of a `Bytes` for which there is just enough credit, if there is one that every peer takes.
    #[must_use]
    pub fn rest(&self) -> usize {
        // Its own length stands before it.
        match self.credit - i64::from(ITEM_COST) {
            most @ 1..252 => most as usize - 1,
            most @ 254..=65_536 => most as usize - 3,
            _ => 0,
        }
    }

    /// What brings the credit just to 0, or so much over it.
    #[must_use]
    pub fn lack(&self, over: u8) -> u32 {
        u32::try_from(i64::from(over) - self.credit).unwrap_or(0).max(1)
    }

    /// Sends an item.
    ///
    /// # Panics
    /// When there is no credit for it.
    pub fn spend(&mut self, len: usize) {
        assert!(self.credit > 0, "sent without credit");
        self.credit -= len as i64 + i64::from(ITEM_COST);
    }
}
