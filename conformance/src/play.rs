//! Plays vectors.

mod frames;
mod heads;

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::io;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use crate::driver::Driver;
use crate::pattern::Ids;
use crate::requests::Requests;
use crate::vector::{Act, Role, Step, Vector};
use crate::wire::{Slices, Wire};
use frames::shown;

/// Plays a vector to a server.
///
/// # Errors
/// At the first step that fails; the text names file and line.
pub async fn play_server<IO>(vector: &Vector, io: IO, slices: Slices) -> Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut player = Player::new(vector, slices, None, ready(Ok(io)));
    player.connect().await?;
    player.play().await
}

/// Plays a vector to a client, which the driver tells what to do. The connection that it makes when it is told to is
/// accepted by `accept`.
///
/// # Errors
/// As [`play_server`].
pub async fn play_client<IO>(
    vector: &Vector,
    accept: impl Future<Output = io::Result<IO>>,
    driver: &mut Driver,
    slices: Slices,
) -> Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    Player::new(vector, slices, Some(driver), accept).play().await
}

struct Player<'a, IO, F> {
    vector: &'a Vector,
    wire: Wire<IO>,
    driver: Option<&'a mut Driver>,
    /// What the wire will be connected by.
    accept: Option<F>,
    ids: Ids,
    requests: Requests,
    /// The last head that came.
    head: String,
    /// Bodies of Data that no step has asked for.
    items: BTreeMap<u64, Vec<u8>>,
    /// Of the item that has begun on a stream: the bytes that have not come.
    missing: BTreeMap<u64, usize>,
    pings: u64,
}

impl<'a, IO, F> Player<'a, IO, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = io::Result<IO>>,
{
    fn new(vector: &'a Vector, slices: Slices, driver: Option<&'a mut Driver>, accept: F) -> Self {
        let mut wire = Wire::new(slices);
        for header in &vector.says {
            if let Some(Ok(limit)) = header.strip_prefix("Rpc-Max-Frame: ").map(str::parse) {
                wire.max_frame = limit;
            }
        }
        let (ids, requests, items, missing) = Default::default();
        Self {
            vector,
            wire,
            driver,
            accept: Some(accept),
            ids,
            requests,
            head: String::new(),
            items,
            missing,
            pings: 0,
        }
    }

    async fn connect(&mut self) -> Result<()> {
        match self.accept.take() {
            Some(accept) => self.wire.connect(accept).await,
            None => Ok(()),
        }
    }

    /// Tells the client to do something.
    async fn command(&mut self, line: &str) -> Result<()> {
        self.driver()?.command(line).await?;
        if line.starts_with("connect") { self.connect().await } else { Ok(()) }
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
        self.rest().await.with_context(|| format!("{file}:{line}: {name}: after its last step"))
    }

    /// Nothing more has come of it; who was told to go may have gone.
    async fn rest(&mut self) -> Result<()> {
        let over = |step: &Step| {
            matches!(
                step.act,
                Act::Closes(_) | Act::Ends | Act::Fin | Act::Hangup | Act::Text(_) | Act::Status(_)
            )
        };
        let vector = self.vector;
        if vector.raw || vector.steps.iter().any(over) || vector.steps.is_empty() {
            return Ok(());
        }
        let stayed = self.is_silent().await?;
        ensure!(stayed || vector.role == Role::Client, "the end comes");
        let left = self.items.values().find(|items| !items.is_empty());
        ensure!(left.is_none(), "Data that no step has asked for: {left:02x?}");
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
                self.command(connect.trim_end()).await?;
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
            Act::Silent => {
                ensure!(self.is_silent().await?, "the end comes");
                Ok(())
            }
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
            Act::Do(line) => self.command(line).await,
            Act::Told(line) => self.driver()?.told(line).await,
            Act::Status(_) | Act::Head(_) | Act::Field(_) | Act::NoField(_) | Act::Text(_) => {
                self.take_head(&step.act).await
            }
        }
    }
}
