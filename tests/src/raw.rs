//! Either end of a connection, driven byte by byte. Written from docs/protocol.md without rpc-core's
//! frames, so that a mistake there does not cancel itself out.

use std::net::SocketAddr;

use rpc_core::{Body, Format};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::within;

/// The kind of the frame that ends the items of one direction.
pub const END: u8 = 6;

/// The kind of the frame that lets its receiver send more items.
pub const CREDIT: u8 = 7;

/// The flag of a Request that has the time left in it.
pub const DEADLINE: u8 = 0x02;

/// The flag of a Request or Response that items go with.
pub const MORE: u8 = 0x04;

/// The flag of a Request that has the method's name in it.
pub const NAME: u8 = 0x08;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its kind's number.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its id or token.
    pub id: u64,
    /// What stands behind the header.
    pub body: Vec<u8>,
}

impl Frame {
    /// The kinds that tests name.
    pub const REQUEST: u8 = 1;
    /// See [`Frame::REQUEST`].
    pub const RESPONSE: u8 = 2;
    /// See [`Frame::REQUEST`].
    pub const STATUS: u8 = 3;
    /// See [`Frame::REQUEST`].
    pub const CANCEL: u8 = 4;
    /// See [`Frame::REQUEST`].
    pub const PING: u8 = 8;
    /// See [`Frame::REQUEST`].
    pub const PONG: u8 = 9;
    /// See [`Frame::REQUEST`].
    pub const GO_AWAY: u8 = 10;

    /// See [`Frame::REQUEST`].
    pub const DATA: u8 = 5;

    /// A Data frame with one whole item.
    #[must_use]
    pub fn item(id: u64, item: &[u8]) -> Self {
        Self::begin(id, item.len(), item)
    }

    /// A Data frame that begins an item of `len` bytes.
    #[must_use]
    pub fn begin(id: u64, len: usize, part: &[u8]) -> Self {
        let len = u32::try_from(len).expect("an item");
        Self::new(Self::DATA, id, [&len.to_be_bytes(), part].concat())
    }

    /// A frame without flags.
    #[must_use]
    pub fn new(kind: u8, id: u64, body: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags: 0, id, body: body.into() }
    }

    /// The connection's call number `counter`, with its name in the frame (index 0).
    ///
    /// # Panics
    /// When the arguments do not encode.
    #[must_use]
    pub fn request(counter: u64, method: &str, args: &impl Serialize) -> Self {
        let mut body = vec![0; 10];
        body.push(u8::try_from(method.len()).expect("a short name"));
        body.extend_from_slice(method.as_bytes());
        body.extend_from_slice(&encoded(args));
        Self { kind: Self::REQUEST, flags: 0x08, id: counter << 16, body }
    }

    /// The result of a call.
    #[must_use]
    pub fn response(id: u64, result: &impl Serialize) -> Self {
        Self::new(Self::RESPONSE, id, encoded(result))
    }

    /// The bytes on the wire.
    ///
    /// # Panics
    /// When the frame is over 4 GiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(10 + self.body.len()).expect("a short frame");
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.id.to_be_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Code, executed and message of a Status.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn status(&self) -> (u8, u8, String) {
        assert_eq!(self.kind, Self::STATUS, "{self:?}");
        let length = u32::from_be_bytes(self.body[2..6].try_into().expect("four bytes")) as usize;
        let message = String::from_utf8_lossy(&self.body[6..6 + length]).into_owned();
        (self.body[0], self.body[1], message)
    }
}

/// A value in bincode.
///
/// # Panics
/// When it does not encode.
#[must_use]
pub fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    Format::Bincode.encode(value, &mut out).expect("a value that encodes");
    out
}

/// A value from bincode.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn decoded<T: DeserializeOwned + 'static>(body: &[u8]) -> T {
    Format::Bincode.decode(Body::Borrowed(body)).expect("a value that decodes")
}

/// Reads one HTTP head, and not a byte more.
///
/// # Panics
/// When there is none.
pub async fn read_head(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        head.push(within(io.read_u8()).await.expect("a whole head"));
    }
    String::from_utf8(head).expect("a head of text")
}

/// One end of a connection.
#[derive(Debug)]
pub struct Raw<IO>(pub IO);

impl Raw<TcpStream> {
    /// A connection on which nothing was said yet.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn dial(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.expect("a listener"))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Raw<IO> {
    /// A client, let in; `headers` as they stand in the head, each with its line end.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn enter(io: IO, headers: &str) -> Self {
        let mut raw = Self(io);
        raw.say(format!("CONNECT /_rpc_ HTTP/1.0\r\n{headers}\r\n").as_bytes()).await;
        let answer = read_head(&mut raw.0).await;
        assert!(answer.starts_with("HTTP/1.0 200 Connected\r\n"), "{answer}");
        raw
    }

    /// A server that let a client in; `headers` as they stand in the head.
    ///
    /// # Panics
    /// When nobody asks.
    pub async fn admit(io: IO, headers: &str) -> Self {
        let mut raw = Self(io);
        let head = read_head(&mut raw.0).await;
        assert!(head.starts_with("CONNECT "), "{head}");
        raw.say(format!("HTTP/1.0 200 Connected\r\n{headers}\r\n").as_bytes()).await;
        raw
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// When they are not taken.
    pub async fn say(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.expect("a peer that reads");
    }

    /// Writes a frame.
    pub async fn send(&mut self, frame: &Frame) {
        self.say(&frame.to_bytes()).await;
    }

    /// The next frame.
    ///
    /// # Panics
    /// When the stream ends.
    pub async fn frame(&mut self) -> Frame {
        self.next().await.expect("a frame, not the end")
    }

    /// The next frame, `None` at the end of the stream.
    ///
    /// # Panics
    /// When the stream ends inside a frame.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        within(self.0.read_exact(&mut length)).await.ok()?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize];
        within(self.0.read_exact(&mut rest)).await.expect("a whole frame");
        let id = u64::from_be_bytes(rest[2..10].try_into().expect("eight bytes"));
        Some(Frame { kind: rest[0], flags: rest[1], id, body: rest.split_off(10) })
    }

    /// The next frame that is no GoAway, Ping or Pong, `None` at the end of the stream.
    pub async fn call_frame(&mut self) -> Option<Frame> {
        loop {
            match self.next().await {
                Some(Frame { kind: Frame::GO_AWAY | Frame::PING | Frame::PONG, .. }) => {}
                next => return next,
            }
        }
    }

    /// All that comes until the stream ends.
    ///
    /// # Panics
    /// When it does not end in good order.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.expect("an end in good order");
        String::from_utf8(rest).expect("text")
    }
}
