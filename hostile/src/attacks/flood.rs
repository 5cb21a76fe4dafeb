//! Floods: what is written as fast as it is taken, while what comes back is read and counted.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::BytesMut;
use chaos::within;
use serde::Serialize;
use tests::{CREDIT, DEADLINE, END, Frame, MORE, NAME, encoded};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::raw::Raw;

/// Appends a frame; its body in parts.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, id: u64, body: &[&[u8]]) {
    let len = 10 + body.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&(len as u32).to_be_bytes());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    body.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends a Data frame with one whole item, as it stands on the wire.
pub(super) fn put_item(out: &mut Vec<u8>, id: u64, item: &[u8]) {
    put(out, Frame::DATA, 0, id, &[&(item.len() as u32).to_be_bytes(), item]);
}

/// Calls of one method on one connection, the first of which introduces it.
pub(super) struct Calls {
    method: &'static str,
    flags: u8,
    /// What stands behind the method.
    rest: Vec<u8>,
    /// Of the last call.
    counter: u64,
}

impl Calls {
    pub(super) fn of(method: &'static str, args: &impl Serialize) -> Self {
        Self { method, flags: 0, rest: encoded(args), counter: 0 }
    }

    pub(super) fn streams(method: &'static str, args: &impl Serialize) -> Self {
        Self { flags: MORE, ..Self::of(method, args) }
    }

    /// Each with so many microseconds left.
    pub(super) fn within(mut self, micros: u64) -> Self {
        self.flags |= DEADLINE;
        self.rest.splice(0..0, micros.to_be_bytes());
        self
    }

    /// Appends one more; its id.
    pub(super) fn put(&mut self, out: &mut Vec<u8>) -> u64 {
        self.counter += 1;
        let (id, index) = (self.counter << 16, [0, 1]);
        match self.counter {
            1 => {
                let name = [&[0; 8], &[self.method.len() as u8][..], self.method.as_bytes()].concat();
                put(out, Frame::REQUEST, self.flags | NAME, id, &[&index, &name, &self.rest]);
            }
            _ => put(out, Frame::REQUEST, self.flags, id, &[&index, &self.rest]),
        }
        id
    }

    /// So many more, by themselves.
    pub(super) fn bytes(&mut self, count: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..count {
            self.put(&mut out);
        }
        out
    }
}

/// What came.
#[derive(Default)]
pub(super) struct Tally {
    rest: BytesMut,
    kinds: [u64; 11],
    codes: [u64; 17],
    /// Of the Responses, those that items follow.
    heads: u64,
    /// The reason of the GoAway.
    pub(super) reason: Option<u8>,
    /// Sum of the Credits.
    pub(super) credit: u64,
    pub(super) closed: bool,
}

impl Tally {
    pub(super) fn kind(&self, kind: u8) -> u64 {
        self.kinds[usize::from(kind)]
    }

    /// Statuses with that code.
    pub(super) fn code(&self, code: u8) -> u64 {
        self.codes[usize::from(code)]
    }

    /// Calls that have ended.
    pub(super) fn ended(&self) -> u64 {
        self.kind(Frame::RESPONSE) - self.heads + self.kind(Frame::STATUS) + self.kind(END)
    }

    fn take(&mut self) -> Result<()> {
        while let Some(length) = self.rest.first_chunk() {
            let end = 4 + u32::from_be_bytes(*length) as usize;
            if self.rest.len() < end {
                break;
            }
            let frame = self.rest.split_to(end);
            ensure!(end >= 14 && usize::from(frame[4]) < self.kinds.len(), "no frame: {frame:?}");
            let (kind, body) = (frame[4], &frame[14..]);
            self.kinds[usize::from(kind)] += 1;
            match (kind, body.first()) {
                (Frame::RESPONSE, _) => self.heads += u64::from(frame[5] & MORE != 0),
                (Frame::STATUS, Some(code)) => self.codes[usize::from(*code).min(16)] += 1,
                (Frame::GO_AWAY, reason) => self.reason = reason.copied(),
                (CREDIT, _) => self.credit += body.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads until it is enough or the connection ends.
    pub(super) async fn read(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        enough: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        while !self.closed && !enough(self) {
            self.rest.reserve(64 * 1024);
            let count = within(20, "an answer comes", from.read_buf(&mut self.rest)).await?;
            self.closed = matches!(count, Ok(0) | Err(_));
            self.take()?;
        }
        Ok(())
    }
}

/// Writes it all, unless the peer closes before, and reads meanwhile: a server that has much to say stops reading until
/// it is heard.
pub(super) async fn exchange(
    raw: &mut Raw,
    tally: &mut Tally,
    chunks: impl IntoIterator<Item = Vec<u8>>,
    enough: impl Fn(&Tally) -> bool,
) -> Result<()> {
    let (mut from, mut to) = raw.0.split();
    let write = async {
        for chunk in chunks {
            if within(60, "a peer reads", to.write_all(&chunk)).await?.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(write, tally.read(&mut from, enough))?;
    Ok(())
}

/// A peer that was let in and whose kernel takes next to nothing for it.
pub(super) async fn narrow(address: SocketAddr) -> Result<Raw> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    Raw(within(20, "a server is there", socket.connect(address)).await??).let_in("").await
}
