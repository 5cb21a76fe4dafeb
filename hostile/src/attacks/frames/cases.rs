//! The frames, and what becomes of whoever sends them.

use tests::{CREDIT, DEADLINE, END, Frame, MORE, NAME};

/// What is sent behind the head.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) becomes: Becomes,
}

#[derive(Clone, Copy)]
pub(super) enum Becomes {
    /// A GoAway with this reason, and the end.
    Away(u8),
    /// Its call fails with this code, and the next is served.
    Failed(u8),
    /// The next call is served.
    Served,
    /// Followed by the end of what is sent: the end, without a word.
    Cut,
}

use Becomes::{Away, Cut, Failed, Served};

const PROTOCOL: Becomes = Away(1);
const TOO_LARGE: Becomes = Away(2);

const CANCELLED: Becomes = Failed(1);
const INVALID: Becomes = Failed(3);
const EXPIRED: Becomes = Failed(4);
const EXHAUSTED: Becomes = Failed(8);
const UNIMPLEMENTED: Becomes = Failed(12);

/// Flags of a Request.
const METADATA: u8 = 1;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    lengths(&mut cases);
    kinds(&mut cases);
    ids(&mut cases);
    methods(&mut cases);
    fields(&mut cases);
    streams(&mut cases);
    cases
}

fn add(cases: &mut Vec<Case>, name: impl Into<String>, frames: &[Frame], becomes: Becomes) {
    let bytes = frames.iter().flat_map(Frame::to_bytes).collect();
    cases.push(Case { name: name.into(), bytes, becomes });
}

fn lengths(cases: &mut Vec<Case>) {
    let mut add = |length: u32, behind: usize, becomes| {
        let name = format!("length {length}, {behind} bytes behind it");
        let bytes = [&length.to_be_bytes()[..], &vec![1; behind]].concat();
        cases.push(Case { name, bytes, becomes });
    };
    (0..10).for_each(|length| add(length, 10, PROTOCOL));
    for length in [4 * 1024 * 1024 + 1, u32::from_be_bytes(*b"GET "), i32::MAX as u32, u32::MAX] {
        add(length, 0, TOO_LARGE);
        add(length, 100_000, TOO_LARGE);
    }
    for (length, behind) in [(10, 0), (10, 1), (10, 9), (11, 10), (100, 50), (4 * 1024 * 1024, 100_000)] {
        add(length, behind, Cut);
    }
    for cut in 1..4 {
        cases.push(Case { name: format!("{cut} bytes of a length"), bytes: vec![0; cut], becomes: Cut });
    }
}

fn kinds(cases: &mut Vec<Case>) {
    let frame = |kind, flags| Frame { kind, flags, id: 1 << 16, body: vec![0xff; 100] };
    for kind in [0].into_iter().chain(0x0b..0x80) {
        add(cases, format!("kind {kind:#x}"), &[frame(kind, 0)], PROTOCOL);
    }
    for kind in 0x80..=0xff {
        add(cases, format!("kind {kind:#x}, which may be ignored"), &[frame(kind, kind)], Served);
    }
    for (kind, known) in [(1, 0x8f), (4, 0), (5, 0x80), (6, 1), (7, 0), (8, 0), (9, 0), (10, 0)] {
        for flag in (0..8).map(|bit| 1 << bit).filter(|flag| known & flag == 0) {
            add(cases, format!("kind {kind} with flag {flag:#x}"), &[frame(kind, flag)], PROTOCOL);
        }
    }
    for kind in [Frame::RESPONSE, Frame::STATUS] {
        for id in [0, 1 << 16, u64::MAX] {
            let answer = Frame::new(kind, id, [1, 0, 0, 0, 0, 0]);
            add(cases, format!("an answer of a client, kind {kind}, id {id:#x}"), &[answer], PROTOCOL);
        }
    }
    let body = |kind, body: &[u8]| Frame::new(kind, 77, body);
    add(cases, "a Ping with a body", &[body(Frame::PING, &[7; 5000])], Served);
    add(cases, "a Pong that nobody asked for", &[body(Frame::PONG, &[])], Served);
    add(cases, "a GoAway without a reason", &[body(Frame::GO_AWAY, &[])], PROTOCOL);
}

fn ids(cases: &mut Vec<Case>) {
    let call = |counter| Frame::request(counter, "Arith.Multiply", &(6i64, 7i64));
    let hold = |counter| Frame::request(counter, "Hostile.Hold", &());
    let with_id = |id| Frame { id, ..call(1) };
    let cancel = || Frame::new(Frame::CANCEL, 1 << 16, []);
    for (name, frames, becomes) in [
        ("counter 0", vec![with_id(0)], PROTOCOL),
        ("counter 0, slot 7", vec![with_id(7)], PROTOCOL),
        ("the server's side", vec![with_id(1 << 63 | 1 << 16)], PROTOCOL),
        ("all bits", vec![with_id(u64::MAX)], PROTOCOL),
        ("an id that shrinks", vec![call(5), call(4)], PROTOCOL),
        ("an id of a call that has ended", vec![call(5), call(5)], PROTOCOL),
        ("an id of a call in flight", vec![hold(5), hold(5)], PROTOCOL),
        ("a counter in another slot", vec![hold(5), with_id(5 << 16 | 1)], PROTOCOL),
        ("the last counter, and the first", vec![with_id(u64::MAX >> 1), call(1)], PROTOCOL),
        ("gaps and slots", vec![with_id(3 << 16 | 9), with_id(900 << 16 | 65_535)], Served),
        ("the same Cancel twice", vec![hold(1), cancel(), cancel()], CANCELLED),
    ] {
        add(cases, name, &frames, becomes);
    }
    for kind in [Frame::CANCEL, Frame::DATA, END, CREDIT] {
        let of = |id| Frame::new(kind, id, [0, 0, 0, 1, 7]);
        for id in [0, 2 << 16, 1 << 63 | 1 << 16, u64::MAX] {
            add(cases, format!("kind {kind} for {id:#x}, never opened"), &[call(1), of(id)], PROTOCOL);
        }
        add(cases, format!("kind {kind} for a call that has ended"), &[call(1), of(1 << 16)], Served);
    }
}

/// A Request of counter `counter` with these flags, index, and what stands behind the index.
fn request(counter: u64, flags: u8, index: u16, rest: &[u8]) -> Frame {
    Frame { flags, ..Frame::new(Frame::REQUEST, counter << 16, [&index.to_be_bytes(), rest].concat()) }
}

/// Fingerprint, the name's length, the name.
fn named(name: &[u8]) -> Vec<u8> {
    [&[0; 8], &[name.len() as u8][..], name].concat()
}

fn methods(cases: &mut Vec<Case>) {
    let once = |name: &[u8]| request(1, NAME, 0, &named(name));
    let multiply = [&named(b"Arith.Multiply")[..], &[12, 14]].concat();
    let introduced = |counter, index| request(counter, NAME, index, &multiply);
    for (name, frames, becomes) in [
        ("index 0 without a name", vec![request(1, 0, 0, &[12, 14])], PROTOCOL),
        ("index 1, not introduced", vec![request(1, 0, 1, &[12, 14])], PROTOCOL),
        ("index 65,535, not introduced", vec![request(1, 0, 65_535, &[])], PROTOCOL),
        ("index 2 introduced first", vec![introduced(1, 2)], PROTOCOL),
        ("index 65,535 introduced", vec![introduced(1, 65_535)], PROTOCOL),
        ("index 1 introduced twice", vec![introduced(1, 1), introduced(2, 1)], PROTOCOL),
        ("index 2 after 1", vec![introduced(1, 1), request(2, 0, 2, &[12, 14])], PROTOCOL),
        ("a name introduced in vain", vec![request(1, NAME, 1, &named(b"No.Such"))], UNIMPLEMENTED),
        ("no name", vec![once(b"")], UNIMPLEMENTED),
        ("a name without a dot", vec![once(b"Multiply")], UNIMPLEMENTED),
        ("a name of NULs", vec![once(&[0; 255])], UNIMPLEMENTED),
        ("a name of 8 bits", vec![once(&[0xff; 200])], UNIMPLEMENTED),
        ("a name of line ends", vec![once(b"Arith.\r\n\x1b[2J")], UNIMPLEMENTED),
        ("compressed", vec![request(1, NAME | 0x80, 0, &multiply)], UNIMPLEMENTED),
        ("a stream of a call", vec![request(1, NAME | MORE, 0, &multiply)], UNIMPLEMENTED),
        ("a call of a stream", vec![once(b"Hostile.Count")], UNIMPLEMENTED),
    ] {
        add(cases, name, &frames, becomes);
    }
}

fn fields(cases: &mut Vec<Case>) {
    // Everything a head can hold, cut at each of its bytes.
    let all = NAME | DEADLINE | METADATA;
    let head = [&named(b"Arith.Multiply")[..], &[0, 0, 0, 0, 1, 0, 0, 0], &[0, 5], b"\x01k\0\x01v"].concat();
    for cut in 0..head.len() {
        add(cases, format!("a head cut at {}", cut + 2), &[request(1, all, 0, &head[..cut])], PROTOCOL);
    }
    for body in [&[][..], &[0]] {
        let frame = Frame { flags: NAME, ..Frame::new(Frame::REQUEST, 1 << 16, body) };
        add(cases, format!("a head of {} bytes", body.len()), &[frame], PROTOCOL);
    }
    add(cases, "a head without arguments", &[request(1, all, 0, &head)], INVALID);
    let deadline = |left: u64| {
        let rest = [&named(b"Arith.Multiply")[..], &left.to_be_bytes(), &[12, 14]].concat();
        request(1, NAME | DEADLINE, 0, &rest)
    };
    add(cases, "no time left", &[deadline(0)], EXPIRED);
    for left in [u64::MAX, u64::MAX / 2, u64::MAX / 1000, 1 << 62, 1] {
        add(cases, format!("{left} us left"), &[deadline(left)], Served);
    }
    let block = |length: usize, block: &[u8]| {
        let length = (length as u16).to_be_bytes();
        request(1, NAME | METADATA, 0, &[&named(b"Arith.Multiply")[..], &length, block, &[12, 14]].concat())
    };
    let many = b"\x01k\0\0".repeat(65);
    let most = [b"\x01k\xff\xfb".as_slice(), &[0; 65_531]].concat();
    for (name, bytes, becomes) in [
        ("metadata: no key", &b"\0\0\0"[..], INVALID),
        ("metadata: upper case", b"\x01K\0\0", INVALID),
        ("metadata: 8 bits", b"\x01\xff\0\0", INVALID),
        ("metadata: a key's length alone", b"\x01", INVALID),
        ("metadata: a key cut short", b"\xffkey", INVALID),
        ("metadata: no value", b"\x01k", INVALID),
        ("metadata: a value cut short", b"\x01k\xff\xffv", INVALID),
        ("metadata: 65 pairs", &many, INVALID),
        ("metadata: the largest", &most, Served),
        ("metadata: all bits", &[0xff; 1000], INVALID),
    ] {
        add(cases, name, &[block(bytes.len(), bytes)], becomes);
    }
    add(cases, "metadata: more than the frame has", &[block(65_535, b"\x01k\0\0")], PROTOCOL);
}

fn streams(cases: &mut Vec<Case>) {
    let open = || request(1, NAME | MORE, 0, &named(b"Hostile.Count"));
    let of = |kind, body: &[u8]| Frame::new(kind, 1 << 16, body);
    let data = |body: &[u8]| of(Frame::DATA, body);
    let compressed = Frame { flags: 0x80, ..data(&[0, 0, 0, 0]) };
    for (name, frames, becomes) in [
        ("no data", vec![data(&[])], PROTOCOL),
        ("half a length", vec![data(&[0, 0, 0])], PROTOCOL),
        ("half a length behind an item", vec![data(&[0, 0, 0, 1, 0, 0])], PROTOCOL),
        ("compressed data", vec![compressed], PROTOCOL),
        ("data behind the End", vec![of(END, &[]), data(&[0, 0, 0, 1, 0])], PROTOCOL),
        ("two Ends", vec![of(END, &[]), of(END, &[])], PROTOCOL),
        ("an End inside an item", vec![data(&[0, 0, 0, 9, 0]), of(END, &[])], PROTOCOL),
        ("an item of 4 GiB", vec![data(&[0xff; 5])], EXHAUSTED),
        ("an item over the limit", vec![data(&[0, 0x40, 0, 1, 0])], EXHAUSTED),
        ("an item that is none", vec![data(&[0, 0, 0, 1, 9])], INVALID),
        ("an item of no bytes", vec![data(&[0, 0, 0, 0])], INVALID),
        ("credit of nothing", vec![of(CREDIT, &[0; 4])], PROTOCOL),
        ("credit of too much", vec![of(CREDIT, &[0xff; 4])], PROTOCOL),
        ("half a credit", vec![of(CREDIT, &[0; 3])], PROTOCOL),
    ] {
        add(cases, name, &[&[open()][..], &frames].concat(), becomes);
    }
    let refused = request(1, NAME | MORE, 0, &named(b"No.Such"));
    add(cases, "data for a stream that was refused", &[refused, data(&[0, 0, 0, 1, 9])], UNIMPLEMENTED);
    for length in [1000, 4 * 1024 * 1024u32] {
        let begun = data(&[&length.to_be_bytes()[..], &[7; 500]].concat());
        add(cases, format!("an item of {length} that never ends"), &[open(), begun], Served);
    }
}
