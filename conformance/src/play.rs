//! Plays vectors.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use crate::driver::Driver;
use crate::pattern::{Ids, Pattern};
use crate::requests::Requests;
use crate::vector::{Act, Role, Step, Vector};
use crate::wire::{Frame, Slices, Wire};

/// The tokens of the player's own Pings begin with it.
const TOKEN: u64 = u64::from_be_bytes(*b"\0conform");

/// Plays a vector to a server.
///
/// # Errors
/// At the first step that fails; the text names file and line.
pub async fn play_server<IO>(vector: &Vector, io: IO, slices: Slices) -> Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut player = Player::new(vector, io, slices, None);
    player.play().await
}

/// Plays a vector to a client, which the driver tells what to do. The connection is the client's once it was
/// told to connect.
///
/// # Errors
/// As [`play_server`].
pub async fn play_client<IO>(vector: &Vector, io: IO, driver: &mut Driver, slices: Slices) -> Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut player = Player::new(vector, io, slices, Some(driver));
    player.play().await
}

struct Player<'a, IO> {
    vector: &'a Vector,
    wire: Wire<IO>,
    driver: Option<&'a mut Driver>,
    ids: Ids,
    requests: Requests,
    /// The last head that came.
    head: String,
    /// Bodies of Data that no step has asked for.
    items: BTreeMap<u64, Vec<u8>>,
    pings: u64,
}

impl<'a, IO: AsyncRead + AsyncWrite + Unpin> Player<'a, IO> {
    fn new(vector: &'a Vector, io: IO, slices: Slices, driver: Option<&'a mut Driver>) -> Self {
        let mut wire = Wire::new(io, slices);
        for header in &vector.says {
            if let Some(Ok(limit)) = header.strip_prefix("Rpc-Max-Frame: ").map(str::parse) {
                wire.max_frame = limit;
            }
        }
        let (ids, requests) = Default::default();
        Self { vector, wire, driver, ids, requests, head: String::new(), items: BTreeMap::new(), pings: 0 }
    }

    async fn play(&mut self) -> Result<()> {
        let Vector { name, file, line, raw, steps, .. } = self.vector;
        if !raw {
            self.shake_hands().await.with_context(|| format!("{file}:{line}: {name}: handshake"))?;
        }
        for step in steps {
            let Step { line, text, .. } = step;
            self.take(step).await.with_context(|| format!("{file}:{line}: {name}: {text}"))?;
        }
        Ok(())
    }

    /// The heads of a vector that is not about them.
    async fn shake_hands(&mut self) -> Result<()> {
        let says = self.vector.says.iter().map(|header| format!("{header}\r\n")).collect::<String>();
        match self.vector.role {
            Role::Server => {
                self.wire.send(format!("CONNECT /_rpc_ HTTP/1.0\r\n{says}\r\n").as_bytes()).await?;
                let head = self.wire.head().await?;
                ensure!(head.split(' ').nth(1) == Some("200"), "refused: {head}");
            }
            Role::Client => {
                let connect = format!("connect {}", self.vector.connect);
                self.driver()?.command(connect.trim_end()).await?;
                let head = self.wire.head().await?;
                ensure!(head.starts_with("CONNECT "), "another head: {head}");
                self.wire.send(format!("HTTP/1.0 200 Connected\r\n{says}\r\n").as_bytes()).await?;
                self.driver()?.told("0 connected").await?;
            }
        }
        Ok(())
    }

    fn driver(&mut self) -> Result<&mut Driver> {
        self.driver.as_deref_mut().context("only a client is told what to do")
    }

    async fn take(&mut self, step: &Step) -> Result<()> {
        match &step.act {
            Act::Send(pattern) => {
                let bytes = pattern.bytes(&self.ids)?;
                self.requests.answered(&bytes);
                self.wire.send(&bytes).await
            }
            Act::Expect(pattern) => {
                let frame = self.next(pattern.kind()).await?.context("the end comes")?;
                self.check(pattern, &frame)
            }
            Act::Among(_) => self.among(step).await,
            Act::Until(pattern) => self.until(pattern).await,
            Act::Data(id, items) => self.data(id, items).await,
            Act::Credits(id, sum) => self.credits(id, *sum).await,
            Act::Closes(reason) => self.closes(*reason).await,
            Act::Ends => match self.next(None).await? {
                None => Ok(()),
                Some(frame) => bail!("{}", shown(&frame)),
            },
            Act::Silent => self.silent().await,
            Act::Fin => {
                self.wire.fin().await;
                Ok(())
            }
            Act::Hangup => {
                self.wire.hangup();
                Ok(())
            }
            Act::Wait(time) => {
                sleep(*time).await;
                Ok(())
            }
            Act::Request(asked) => {
                let frame = self.next(None).await?.context("the end comes")?;
                let id = self.requests.take(&frame, asked, &self.ids).with_context(|| shown(&frame))?;
                self.ids.insert(asked.call, id);
                Ok(())
            }
            Act::Do(line) => self.driver()?.command(line).await,
            Act::Told(line) => self.driver()?.told(line).await,
            Act::Status(_) | Act::Head(_) | Act::Field(_) | Act::NoField(_) | Act::Text(_) => {
                self.take_head(&step.act).await
            }
        }
    }

    async fn take_head(&mut self, act: &Act) -> Result<()> {
        match act {
            Act::Status(status) => {
                self.head = self.wire.head().await?;
                let first = self.head.lines().next().unwrap_or_default().to_owned();
                let http = first.starts_with("HTTP/1.0 ") || first.starts_with("HTTP/1.1 ");
                let said = first.split(' ').nth(1).is_some_and(|said| said == status.to_string());
                ensure!(http && said, "{first}");
            }
            Act::Head(wanted) => {
                self.head = self.wire.head().await?;
                let first = self.head.lines().next().unwrap_or_default();
                let fits = match wanted.strip_suffix("..") {
                    Some(beginning) => first.starts_with(beginning),
                    None => first == wanted,
                };
                ensure!(fits, "{first}");
            }
            Act::Field(wanted) => {
                let (name, value) = wanted.split_once(": ").unwrap_or((wanted, ""));
                let found = self.fields(name);
                ensure!(!found.is_empty() && (value.is_empty() || found == [value]), "{found:?}");
            }
            Act::NoField(name) => ensure!(self.fields(name).is_empty(), "{}", self.head),
            Act::Text(text) => {
                let rest = self.wire.rest().await?;
                let shown = || format!("{:?}", String::from_utf8_lossy(&rest));
                text.check(&rest, &self.ids).with_context(shown)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn fields(&self, wanted: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).collect()
    }

    fn check(&self, pattern: &Pattern, frame: &Frame) -> Result<()> {
        pattern.check(&frame.0, &self.ids).with_context(|| shown(frame))
    }

    /// The next frame that a step has to know of. `wanted` is not skipped.
    async fn next(&mut self, wanted: Option<u8>) -> Result<Option<Frame>> {
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
    async fn among(&mut self, first: &Step) -> Result<()> {
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

    async fn until(&mut self, pattern: &Pattern) -> Result<()> {
        self.items.clear();
        loop {
            let frame = self.wire.frame().await?.context("the end comes")?;
            if pattern.check(&frame.0, &self.ids).is_ok() {
                return Ok(());
            }
        }
    }

    async fn data(&mut self, id: &Pattern, items: &Pattern) -> Result<()> {
        let id = self.id(id)?;
        let wanted = items.bytes(&self.ids)?;
        while self.items.get(&id).map_or(0, Vec::len) < wanted.len() {
            let frame = self.next(Some(Frame::DATA)).await?.context("the end comes")?;
            ensure!(frame.kind() == Frame::DATA && frame.flags() == 0, "{}", shown(&frame));
            ensure!(!frame.body().is_empty(), "an empty Data");
            let items = self.items.entry(frame.id()).or_default();
            items.extend_from_slice(frame.body());
        }
        let items = self.items.entry(id).or_default();
        let came = items.drain(..wanted.len()).collect::<Vec<_>>();
        let same = came.iter().zip(&wanted).take_while(|(came, wanted)| came == wanted).count();
        ensure!(same == wanted.len(), "other items, from byte {same} on");
        Ok(())
    }

    async fn credits(&mut self, id: &Pattern, sum: u64) -> Result<()> {
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
    async fn closes(&mut self, reason: Option<u8>) -> Result<()> {
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
            let above = self.vector.role == Role::Server && frame.id() > go_away.id();
            ensure!(!above, "a call above the GoAway is answered: {}", shown(&frame));
        }
        Ok(())
    }

    /// What came so far has no consequences but those that were seen.
    async fn silent(&mut self) -> Result<()> {
        self.pings += 1;
        let token = (TOKEN << 8 | self.pings).to_be_bytes();
        self.wire.send(&[&[0, 0, 0, 10, Frame::PING, 0], &token[..]].concat()).await?;
        let frame = self.next(None).await?.context("the end comes")?;
        ensure!(frame.0[4..] == [&[0x09, 0], &token[..]].concat(), "{}", shown(&frame));
        Ok(())
    }
}

/// For people: the beginning of a frame.
fn shown(frame: &Frame) -> String {
    let bytes = &frame.0;
    let beginning = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = String::from_utf8_lossy(frame.body()).escape_debug().take(80).collect::<String>();
    format!("there comes {beginning}{} \"{text}\"", if bytes.len() > 64 { ".." } else { "" })
}
