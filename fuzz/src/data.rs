use arbitrary::Arbitrary;
use rpc_core::frame::flags;

use crate::Flow;

/// The largest frames and items that the tables take here: some items go by reference, and some are over it.
pub const MAX_FRAME: u32 = 40_000;

/// A window: small ones, because much happens in few bytes then, and a few that hold large items.
#[must_use]
pub fn window(byte: u8) -> u32 {
    match byte {
        0..224 => u32::from(byte) * 20 + 1,
        _ => (u32::from(byte) - 223) * 10_000,
    }
}

/// How long an item is.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct ItemLen(u8, u8);

impl ItemLen {
    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        let some = usize::from(self.1);
        match self.0 % 8 {
            0 => 0,
            1..4 => some,
            4 => some * 20,
            // Where items begin to go by reference.
            5 => 16_380 + some % 10,
            6 => MAX_FRAME as usize - 5 + some % 8,
            _ if some < 200 => some * 200,
            // Where what goes out is cut.
            _ => 65_510 + some % 28,
        }
    }
}

/// Items that a peer sends, and the next Data frame with them, or with a part of them.
#[derive(Arbitrary, Debug)]
pub struct WildData {
    items: u8,
    len: ItemLen,
    /// What the frame may hold; 0: all that waits.
    most: u16,
    wrong: u8,
}

/// What a peer has to send on a stream and did not put into frames yet.
#[derive(Debug, Default)]
pub struct Pen {
    waits: Vec<u8>,
    items: u8,
}

impl Pen {
    /// The flags and the body of the next frame for `flow`. Where it is not told to break a rule, it keeps
    /// them all, but for the length of items; and may have nothing to send.
    pub fn frame(&mut self, data: &WildData, flow: &Flow) -> Option<(u8, Vec<u8>)> {
        for _ in 0..data.items % 8 {
            self.push(data.len.bytes());
        }
        if data.wrong == 249 && flow.missing == 0 && self.waits.is_empty() {
            // Just what the credit is enough for.
            let len = (flow.left - 32).clamp(0, 60_000) as usize;
            self.push(len);
        }
        let most = if data.most == 0 { usize::MAX } else { data.most.into() }.min(self.waits.len());
        match data.wrong {
            250 => return Some((flags::COMPRESSED, self.waits.clone())),
            251 => return Some((0, Vec::new())),
            // An item that nobody could ever send, and what waits as the beginning of it.
            252 => return Some((0, [&u32::MAX.to_be_bytes(), &self.waits[..most]].concat())),
            253.. => return Some((0, self.waits.drain(..most).collect())),
            _ => {}
        }
        let (mut end, mut left) = (flow.missing.min(most), flow.left);
        while let Some(head) = self.waits.get(end..).and_then(|rest| rest.first_chunk::<4>())
            && end < most
            && left > 0
        {
            let len = u32::from_be_bytes(*head);
            left -= i64::from(len) + 32;
            let start = end + 4;
            end = start + (len as usize).min(most.saturating_sub(start));
        }
        (end > 0).then(|| (0, self.waits.drain(..end).collect()))
    }

    fn push(&mut self, len: usize) {
        self.items = self.items.wrapping_add(1);
        self.waits.extend_from_slice(&(len as u32).to_be_bytes());
        self.waits.extend(std::iter::repeat_n(self.items, len));
    }
}
