//! What has to be so of every Request of a tested client.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::pattern::Ids;
use crate::vector::Asked;
use crate::wire::Frame;

const METADATA: u8 = 0x01;
const DEADLINE: u8 = 0x02;
const NAME: u8 = 0x08;

const MOST_NAMES: usize = 4096;

#[derive(Default)]
pub(crate) struct Requests {
    /// The counter of the last one.
    last: u64,
    /// The introduced names, in the order of their indices.
    names: Vec<Vec<u8>>,
    /// The calls in flight, by their slots.
    slots: BTreeMap<u16, u64>,
}

impl Requests {
    /// The id of a Request that is as it was asked for.
    pub(crate) fn take(&mut self, frame: &Frame, asked: &Asked, ids: &Ids) -> Result<u64> {
        ensure!(frame.kind() == 0x01, "no Request");
        let (id, flags) = (frame.id(), frame.flags());
        self.open(id)?;
        let mut fields = frame.body();
        let index = usize::try_from(number(take(&mut fields, 2)?))?;
        let name = match flags & NAME {
            0 => index
                .checked_sub(1)
                .and_then(|at| self.names.get(at))
                .context("M48: an unknown index")?
                .clone(),
            _ => {
                ensure!(number(take(&mut fields, 8)?) == 0, "a fingerprint");
                let len = number(take(&mut fields, 1)?);
                let name = take(&mut fields, usize::try_from(len)?)?.to_vec();
                if index > 0 {
                    ensure!(index == self.names.len() + 1, "M47: index {index}");
                    ensure!(index <= MOST_NAMES, "M49: index {index}");
                    self.names.push(name.clone());
                }
                name
            }
        };
        ensure!(name == asked.method.as_bytes(), "another method");
        let wanted = [(METADATA, asked.metadata.is_some()), (DEADLINE, asked.deadline.is_some())];
        let wanted =
            wanted.into_iter().filter(|(_, wanted)| *wanted).fold(0, |flags, (flag, _)| flags | flag);
        let wanted = wanted | if asked.more { Frame::MORE } else { 0 };
        ensure!(flags & !NAME == wanted, "other flags");
        if let Some((least, most)) = asked.deadline {
            let left = number(take(&mut fields, 8)?);
            ensure!((least..=most).contains(&left), "{left} microseconds");
        }
        if let Some(metadata) = &asked.metadata {
            let length = usize::try_from(number(take(&mut fields, 2)?))?;
            metadata.check(take(&mut fields, length)?, ids).context("other metadata")?;
        }
        asked.args.check(fields, ids).context("other arguments")?;
        Ok(id)
    }

    fn open(&mut self, id: u64) -> Result<()> {
        let (counter, slot) = (id >> 16, id as u16);
        ensure!(counter >> 47 == 0, "M43: an id of the server's side");
        ensure!(counter > 0, "M42: the counter is 0");
        ensure!(counter > self.last, "M41: the counter does not grow");
        self.last = counter;
        let held = self.slots.insert(slot, id);
        ensure!(held.is_none(), "M45: two calls in flight in slot {slot}");
        Ok(())
    }

    /// Looks in what is sent for the ends of calls.
    pub(crate) fn answered(&mut self, mut bytes: &[u8]) {
        while let Ok(Some(frame)) = Frame::first(bytes) {
            let more = frame.flags() & Frame::MORE != 0;
            let ends = match frame.kind() {
                Frame::RESPONSE => !more,
                Frame::STATUS | Frame::END => true,
                _ => false,
            };
            let slot = frame.id() as u16;
            if ends && self.slots.get(&slot) == Some(&frame.id()) {
                self.slots.remove(&slot);
            }
            bytes = &bytes[frame.0.len()..];
        }
    }
}

fn take<'a>(fields: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (field, rest) = fields.split_at_checked(len).context("it ends inside a field")?;
    *fields = rest;
    Ok(field)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
