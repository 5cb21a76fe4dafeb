//! The servers, and what a client does about them.

use tests::{CREDIT, END, Frame, MORE};

use super::conduct::CONNECTED;
use super::conduct::Conduct::{self, Answers, Closes, Drips, Says, SaysOn, Streams, StreamsOn};

pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) conduct: Conduct,
    pub(super) becomes: Becomes,
}

/// What a client does about it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Becomes {
    /// It ends the connection.
    HangsUp,
    /// Its calls fail.
    Fails,
    /// The same, of answers that are as large as may be.
    FailsLarge,
}

use Becomes::{Fails, FailsLarge, HangsUp};

const COMPRESSED: u8 = 0x80;

fn bytes(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::to_bytes).collect()
}

fn frame(kind: u8, flags: u8, id: u64, body: &[u8]) -> Vec<u8> {
    Frame { flags, ..Frame::new(kind, id, body) }.to_bytes()
}

/// The head of an answer with items, and this behind it.
fn begun(id: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    [frame(Frame::RESPONSE, MORE, id, &[]), frame(kind, 0, id, body)].concat()
}

/// Lets a client in, with this behind the head.
fn behind(bytes: Vec<u8>) -> Vec<u8> {
    [CONNECTED, &bytes].concat()
}

/// As many of them as a segment of 64 KiB holds.
fn flood(unit: impl AsRef<[u8]>) -> Vec<u8> {
    unit.as_ref().repeat((64 * 1024usize).div_ceil(unit.as_ref().len()))
}

pub(super) fn servers() -> Vec<Server> {
    let with = |header: &str| Says(format!("HTTP/1.0 200 Connected\r\n{header}\r\n\r\n").into_bytes());
    let first = |frames: Vec<u8>| Says(behind(frames));
    let on = |unit: Vec<u8>| SaysOn(CONNECTED.to_owned(), flood(unit));
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    let refusal = "HTTP/1.0 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n";
    let ok = "HTTP/1.0 200 OK\r\n";
    let table = [
        // Heads.
        ("closes at once", Closes(b""), Fails),
        ("closes inside of its head", Closes(b"HTTP/1.0 200 Conn"), Fails),
        ("closes behind its head", Closes(CONNECTED), Fails),
        ("says nothing", Says(vec![]), Fails),
        ("half a head", Says(b"HTTP/1.0 200 Conn".into()), Fails),
        ("a head in drips", Drips(ok.into(), b"X".into()), Fails),
        ("a header that never ends", SaysOn(format!("{ok}X: ").into(), flood("a")), HangsUp),
        ("headers that never end", SaysOn(ok.into(), flood("X: y\r\n")), HangsUp),
        ("empty lines that never end", SaysOn(vec![], flood("\r\n")), HangsUp),
        ("informs for ever", SaysOn(vec![], flood("HTTP/1.1 100 Continue\r\n\r\n")), HangsUp),
        ("a page", Says(format!("{page}<html>").into()), HangsUp),
        ("a page that never ends", SaysOn(page.into(), flood("<p>")), HangsUp),
        ("a refusal, and nothing behind it", Says(refusal.into()), HangsUp),
        ("a refusal that never ends", SaysOn(refusal.into(), flood("no ")), HangsUp),
        ("a refusal in drips", Drips(refusal.into(), b"no ".into()), HangsUp),
        (
            "somewhere else",
            Says(b"HTTP/1.0 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n".into()),
            HangsUp,
        ),
        ("another protocol", Says(b"SSH-2.0-OpenSSH_9.9\r\n".into()), HangsUp),
        ("TLS", Says(b"\x15\x03\x01\0\x02\x02\x46".into()), HangsUp),
        ("8 bits", SaysOn(vec![], vec![0xff; 65_536]), HangsUp),
        ("another version", with("Rpc-Version: 2"), HangsUp),
        ("a format that was not offered", with("Rpc-Format: cbor"), HangsUp),
        ("limits that are none", with("Rpc-Max-Frame: 1"), HangsUp),
        // Frames that nobody asked for.
        ("a frame of no length", first(vec![0; 4]), HangsUp),
        ("a frame over the limit", first((4 * 1024 * 1024 + 1u32).to_be_bytes().into()), HangsUp),
        ("a frame of 4 GiB", SaysOn(CONNECTED.into(), vec![0xff; 65_536]), HangsUp),
        ("claims 4 MiB and sends nothing", first((4 * 1024 * 1024u32).to_be_bytes().into()), Fails),
        ("a kind that is none", first(frame(0x0b, 0, 0, &[])), HangsUp),
        ("a flag that is none", first(frame(Frame::PING, 1, 0, &[])), HangsUp),
        ("a Request", first(bytes(&[Frame::request(1, "A.B", &())])), HangsUp),
        ("a Cancel", first(frame(Frame::CANCEL, 0, 1 << 16, &[])), HangsUp),
        ("Status without end", on(frame(Frame::STATUS, 0, 7 << 16, &[1, 0, 0, 0, 0, 0])), HangsUp),
        ("Responses without end", on(frame(Frame::RESPONSE, 0, 7 << 16, &[1])), HangsUp),
        ("Pings without end", on(frame(Frame::PING, 0, 7, &[])), HangsUp),
        ("Pongs without end", on(frame(Frame::PONG, 0, 7, &[])), Fails),
        ("frames to ignore without end", on(frame(0x80, 0, 0, &[7; 60_000])), Fails),
        ("a GoAway that grows", Answers(|id| bytes(&[away(id), away(id + (1 << 16))])), HangsUp),
        ("a GoAway without a reason", first(frame(Frame::GO_AWAY, 0, 0, &[])), HangsUp),
        ("GoAways without end", on(bytes(&[away(0)])), Fails),
        ("says goodbye to everybody", first(bytes(&[away(0)])), Fails),
        // Answers to calls.
        ("no answer", Answers(|_| vec![]), Fails),
        (
            "two answers",
            Answers(|id| bytes(&[Frame::response(id, &42i64), Frame::response(id, &42i64)])),
            HangsUp,
        ),
        ("the answer of another call", Answers(|id| bytes(&[Frame::response(id + 1, &42i64)])), HangsUp),
        ("items for a call without a stream", Answers(|id| frame(Frame::RESPONSE, MORE, id, &[])), HangsUp),
        ("data for a call without a stream", Answers(|id| frame(Frame::DATA, 0, id, &[0; 4])), HangsUp),
        ("credit for a call without a stream", Answers(|id| frame(CREDIT, 0, id, &[0, 0, 0, 1])), HangsUp),
        ("a compressed answer", Answers(|id| frame(Frame::RESPONSE, COMPRESSED, id, &[84])), HangsUp),
        ("a Status cut short", Answers(|id| frame(Frame::STATUS, 0, id, &[1, 0, 0, 0])), HangsUp),
        ("a Status that claims 4 GiB", Answers(|id| frame(Frame::STATUS, 0, id, &[0xff; 6])), HangsUp),
        ("an answer that is none", Answers(|id| frame(Frame::RESPONSE, 0, id, &[0xff; 50])), Fails),
        ("an answer of 4 MiB", Answers(|id| frame(Frame::RESPONSE, 0, id, &vec![7; 4_000_000])), FailsLarge),
        ("a text of 4 MiB", Answers(|id| frame(Frame::STATUS, 0, id, &long_text())), FailsLarge),
        // Streams.
        ("credit of nothing", Streams(|id| begun(id, CREDIT, &[0; 4])), HangsUp),
        ("credit of too much", Streams(|id| begun(id, CREDIT, &[0xff; 4])), HangsUp),
        ("half a credit", Streams(|id| begun(id, CREDIT, &[1])), HangsUp),
        (
            "credit without end",
            StreamsOn(|_| vec![], |id| flood(frame(CREDIT, 0, id, &[0, 0, 0, 1]))),
            HangsUp,
        ),
        ("data before the head", Streams(|id| frame(Frame::DATA, 0, id, &[0, 0, 0, 1, 0])), HangsUp),
        ("an End before the head", Streams(|id| frame(END, 0, id, &[])), HangsUp),
        ("two heads", Streams(|id| frame(Frame::RESPONSE, MORE, id, &[]).repeat(2)), HangsUp),
        ("no data", Streams(|id| begun(id, Frame::DATA, &[])), HangsUp),
        ("half a length", Streams(|id| begun(id, Frame::DATA, &[0; 3])), HangsUp),
        (
            "an End inside of an item",
            Streams(|id| [begun(id, Frame::DATA, &[0, 0, 0, 9]), frame(END, 0, id, &[])].concat()),
            HangsUp,
        ),
        (
            "data for a stream that has ended",
            Streams(|id| [begun(id, END, &[]), frame(Frame::DATA, 0, id, &[0; 4])].concat()),
            HangsUp,
        ),
        ("a Response in place of items", Streams(|id| frame(Frame::RESPONSE, 0, id, &[1])), Fails),
        ("no items", Streams(|id| frame(Frame::RESPONSE, MORE, id, &[])), Fails),
        ("an item of 4 GiB", Streams(|id| begun(id, Frame::DATA, &[0xff; 8])), Fails),
        ("an item that never ends", Streams(|id| begun(id, Frame::DATA, &[0, 0x3f, 0xff, 0xff, 0])), Fails),
        ("an item that is none", Streams(|id| begun(id, Frame::DATA, &[0, 0, 0, 1, 9])), Fails),
        ("data beyond the credit", StreamsOn(head, |id| frame(Frame::DATA, 0, id, &flood(item()))), HangsUp),
        (
            "empty items beyond the credit",
            StreamsOn(head, |id| frame(Frame::DATA, 0, id, &[0; 60_000])),
            HangsUp,
        ),
    ];
    table.into_iter().map(|(name, conduct, becomes)| Server { name, conduct, becomes }).collect()
}

/// The call goes on, those behind it do not.
fn away(id: u64) -> Frame {
    Frame::new(Frame::GO_AWAY, id, [0])
}

fn head(id: u64) -> Vec<u8> {
    frame(Frame::RESPONSE, MORE, id, &[])
}

/// One as the client asks for, with its length.
fn item() -> Vec<u8> {
    [&1003u32.to_be_bytes()[..], &[0xfb, 0xe8, 0x03], &[7; 1000]].concat()
}

/// A Status with as much text as a frame holds.
fn long_text() -> Vec<u8> {
    [&[2, 2][..], &4_000_000u32.to_be_bytes(), &vec![b'x'; 4_000_000]].concat()
}
