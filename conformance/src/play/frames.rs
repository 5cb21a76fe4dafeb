//! The steps about frames.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Player;
use crate::pattern::Pattern;
use crate::vector::{Act, Role, Step};
use crate::wire::Frame;

/// The tokens of the player's own Pings begin with it.
const TOKEN: u64 = u64::from_be_bytes(*b"\0conform");

impl<IO, F> Player<'_, IO, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn check(&self, pattern: &Pattern, frame: &Frame) -> Result<()> {
        pattern.check(&frame.0, &self.ids).with_context(|| shown(frame))
    }

    /// The next frame that a step has to know of. `wanted` is not skipped.
    pub(super) async fn next(&mut self, wanted: Option<u8>) -> Result<Option<Frame>> {
        loop {
            let Some(frame) = self.wire.frame().await? else { return Ok(None) };
            let kind = frame.kind();
            let skipped = match kind {
                Frame::PING => true,
                Frame::CREDIT => !self.vector.strict,
                _ => kind >= 0x80,
            };
            if !skipped || Some(kind) == wanted {
                let left = wanted != Some(Frame::DATA) && self.items.values().any(|items| !items.is_empty());
                ensure!(!left, "items came that no step asked for: {:02x?}", self.items);
                return Ok(Some(frame));
            }
        }
    }

    /// This step and those like it that follow are about as many frames, in any order.
    pub(super) async fn among(&mut self, first: &Step) -> Result<()> {
        let steps = &self.vector.steps;
        let at = steps.iter().position(|step| std::ptr::eq(step, first)).unwrap_or_default();
        let is_among = |step: &Step| matches!(step.act, Act::Among(_));
        if at > 0 && is_among(&steps[at - 1]) {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for step in steps[at..].iter().take_while(|step| is_among(step)) {
            if let Act::Among(pattern) = &step.act {
                wanted.push(pattern);
            }
        }
        while !wanted.is_empty() {
            let frame = self.next(wanted[0].kind()).await?.context("the end comes")?;
            let found = wanted.iter().position(|pattern| pattern.check(&frame.0, &self.ids).is_ok());
            wanted.remove(found.with_context(|| format!("none of them is {}", shown(&frame)))?);
        }
        Ok(())
    }

    pub(super) async fn until(&mut self, pattern: &Pattern) -> Result<()> {
        self.items.clear();
        loop {
            let frame = self.wire.frame().await?.context("the end comes")?;
            if pattern.check(&frame.0, &self.ids).is_ok() {
                return Ok(());
            }
        }
    }

    pub(super) async fn data(&mut self, id: &Pattern, items: &Pattern) -> Result<()> {
        let id = self.id(id)?;
        let wanted = items.bytes(&self.ids)?;
        while self.items.get(&id).map_or(0, Vec::len) < wanted.len() {
            let frame = self.next(Some(Frame::DATA)).await?.context("the end comes")?;
            ensure!(frame.kind() == Frame::DATA && frame.flags() == 0, "{}", shown(&frame));
            ensure!(!frame.body().is_empty(), "an empty Data");
            let missing = self.missing.entry(frame.id()).or_default();
            cut(missing, frame.body()).with_context(|| shown(&frame))?;
            let items = self.items.entry(frame.id()).or_default();
            items.extend_from_slice(frame.body());
        }
        let items = self.items.entry(id).or_default();
        let came = items.drain(..wanted.len()).collect::<Vec<_>>();
        let same = came.iter().zip(&wanted).take_while(|(came, wanted)| came == wanted).count();
        ensure!(same == wanted.len(), "other items, from byte {same} on");
        Ok(())
    }

    pub(super) async fn credits(&mut self, id: &Pattern, sum: u64) -> Result<()> {
        let (id, mut came) = (self.id(id)?, 0);
        while came < sum {
            let frame = self.next(Some(Frame::CREDIT)).await?.context("the end comes")?;
            ensure!(frame.kind() == Frame::CREDIT && frame.body().len() == 4, "{}", shown(&frame));
            if frame.id() == id {
                let credit = frame.body().iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                ensure!(credit > 0, "a Credit of nothing");
                came += credit;
            }
        }
        ensure!(came == sum, "{came} came");
        Ok(())
    }

    fn id(&self, pattern: &Pattern) -> Result<u64> {
        let bytes = pattern.bytes(&self.ids)?;
        Ok(u64::from_be_bytes(bytes.try_into().ok().context("no id of eight bytes")?))
    }

    /// A GoAway, before which calls may be answered, and the end.
    pub(super) async fn closes(&mut self, reason: Option<u8>) -> Result<()> {
        self.items.clear();
        let go_away = loop {
            let frame = self.wire.frame().await?.context("the end comes without a GoAway")?;
            if frame.kind() == Frame::GO_AWAY {
                break frame;
            }
        };
        let said = *go_away.body().first().context("a GoAway without a reason")?;
        ensure!(reason.is_none_or(|reason| reason == said), "{}", shown(&go_away));
        while let Some(frame) = self.wire.frame().await? {
            // Only these have the id of a call.
            let of_call = matches!(frame.kind(), 0x02 | 0x03 | 0x05..=0x07);
            let above = self.vector.role == Role::Server && of_call && frame.id() > go_away.id();
            ensure!(!above, "a call above the GoAway is answered: {}", shown(&frame));
        }
        Ok(())
    }

    /// What came so far has no consequences but those that were seen; false if the other side has left.
    pub(super) async fn is_silent(&mut self) -> Result<bool> {
        self.pings += 1;
        let token = (TOKEN << 8 | self.pings).to_be_bytes();
        self.wire.send(&[&[0, 0, 0, 10, Frame::PING, 0], &token[..]].concat()).await?;
        let Some(frame) = self.next(None).await? else { return Ok(false) };
        ensure!(frame.0[4..] == [&[0x09, 0], &token[..]].concat(), "{}", shown(&frame));
        Ok(true)
    }
}

/// Fails when a length is cut at the end of the body. `missing`: of the item that has begun.
fn cut(missing: &mut usize, mut body: &[u8]) -> Result<()> {
    loop {
        let (part, rest) = body.split_at(body.len().min(*missing));
        *missing -= part.len();
        if rest.is_empty() {
            return Ok(());
        }
        let (length, rest) = rest.split_first_chunk::<4>().context("M116: a length is cut")?;
        *missing = u32::from_be_bytes(*length) as usize;
        body = rest;
    }
}

/// For people: the beginning of a frame.
pub(super) fn shown(frame: &Frame) -> String {
    let bytes = &frame.0;
    let beginning = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = String::from_utf8_lossy(frame.body()).escape_debug().take(80).collect::<String>();
    format!("there comes {beginning}{} \"{text}\"", if bytes.len() > 64 { ".." } else { "" })
}
