//! The bodies.

use rpc_core::Format;

/// A body that its method must not take, or one that costs it as much as a value can.
pub(super) struct Bomb {
    pub(super) name: String,
    pub(super) method: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) ends: Ends,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ends {
    /// Refused, for what it claims.
    AtOnce,
    /// Refused, for what it has in its last bytes.
    WhenRead,
    /// It is a value.
    InAnAnswer,
}

const MULTIPLY: &str = "Arith.Multiply";
const STRINGS: &str = "Hostile.Strings";
const UNITS: &str = "Hostile.Units";
const NESTED: &str = "Hostile.Nested";

/// `room`: bytes of the largest.
pub(super) fn bombs(format: Format, room: usize) -> Vec<Bomb> {
    match format {
        Format::Bincode => in_bincode(room),
        _ => in_json(room),
    }
}

fn bomb(name: &str, method: &'static str, body: impl Into<Vec<u8>>) -> Bomb {
    Bomb { name: format!("{method}: {name}"), method, body: body.into(), ends: Ends::AtOnce }
}

fn heavy(name: &str, method: &'static str, body: impl Into<Vec<u8>>) -> Bomb {
    Bomb { ends: Ends::WhenRead, ..bomb(name, method, body) }
}

fn value(name: &str, method: &'static str, body: impl Into<Vec<u8>>) -> Bomb {
    Bomb { ends: Ends::InAnAnswer, ..bomb(name, method, body) }
}

/// A length as bincode writes it, in eight bytes.
fn length(length: u64) -> Vec<u8> {
    [&[0xfd][..], &length.to_le_bytes()].concat()
}

fn in_bincode(room: usize) -> Vec<Bomb> {
    let mut bombs = Vec::new();
    for method in [STRINGS, UNITS, NESTED] {
        for claimed in [1 << 62, 1 << 32, u64::MAX, room as u64 + 65_536] {
            bombs.push(bomb(&format!("{claimed} elements"), method, length(claimed)));
        }
        bombs.push(bomb("nothing", method, []));
        bombs.push(bomb("half a length", method, [0xfd, 1, 2]));
        bombs.push(bomb("a length of 16 bytes", method, [&[0xfe][..], &[0xff; 16]].concat()));
        bombs.push(bomb("a byte behind it", method, [0, 0]));
        bombs.push(bomb("much behind it", method, vec![0; room]));
        bombs.push(bomb("a length that is none", method, [0xff]));
    }
    for claimed in [1 << 62, 1 << 32, u64::MAX, room as u64] {
        bombs.push(bomb(&format!("a string of {claimed}"), STRINGS, [vec![1], length(claimed)].concat()));
    }
    bombs.push(bomb("no UTF-8", STRINGS, [1, 3, b'a', 0xff, b'b']));
    let long = [vec![1], length(room as u64 - 10), vec![0xff; room - 10]].concat();
    bombs.push(bomb("long and no UTF-8", STRINGS, long));
    bombs.push(heavy("strings and one that is none", STRINGS, many(room, b"\xff")));
    bombs.push(heavy("strings and one byte too many", STRINGS, many(room, b"\0\0")));
    // As many as may be would be taken: an element of `()` takes no byte.
    bombs.push(bomb("an element too many", UNITS, length(9 + 65_536 + 1)));
    bombs.push(bomb("levels for a quarter of a frame", NESTED, vec![1; room / 4]));
    bombs.push(bomb("levels as long as a frame", NESTED, vec![1; room]));
    bombs.push(bomb("129 levels", NESTED, [&[1; 129][..], &[0]].concat()));
    bombs.push(bomb("levels that are wide", NESTED, [250; 100_000]));
    bombs.push(heavy("many elements, then levels", NESTED, many(room, &[1; 200])));
    bombs.push(bomb("cut short", MULTIPLY, [12]));
    bombs.push(bomb("a byte behind it", MULTIPLY, [12, 14, 0]));
    bombs.push(bomb("much behind it", MULTIPLY, vec![12; room]));
    bombs.push(bomb("a number of 16 bytes", MULTIPLY, [&[0xfe][..], &[0xff; 32]].concat()));
    bombs.push(bomb("numbers that are none", MULTIPLY, [0xff; 32]));
    bombs.push(value("as many empty strings as bytes", STRINGS, many(room, b"\0")));
    bombs.push(value("as many empty elements as bytes", NESTED, many(room, b"\0")));
    bombs.push(value("as many elements as may be", UNITS, length(9 + 65_536)));
    bombs
}

/// As many elements of one byte as there is room for, and these in place of the last.
fn many(room: usize, last: &[u8]) -> Vec<u8> {
    let before = room - 1000;
    [length(before as u64 + 1), vec![0; before], last.to_owned()].concat()
}

fn in_json(room: usize) -> Vec<Bomb> {
    let mut bombs = Vec::new();
    let as_often = |text: &str| text.repeat(room / text.len() - 4);
    for method in [STRINGS, UNITS, NESTED, MULTIPLY] {
        for (name, text) in [("an array", "["), ("an object", "{\"a\":"), ("both", "[{\"a\":")] {
            bombs.push(bomb(&format!("levels that do not end, {name}"), method, as_often(text)));
        }
        let closed = [vec![b'['; room / 4], vec![b']'; room / 4]].concat();
        bombs.push(bomb("levels that end", method, closed));
        bombs.push(bomb("levels as long as a frame", method, vec![b'['; room]));
        bombs.push(bomb("nothing", method, []));
        bombs.push(bomb("spaces", method, vec![b' '; room]));
        bombs.push(bomb("no UTF-8", method, b"[\"\xff\xfe\"]"));
        bombs.push(bomb("NULs", method, [0; 1000]));
        bombs.push(heavy(
            "a string that does not end",
            method,
            [&b"[\""[..], &vec![b'a'; room - 2]].concat(),
        ));
        bombs.push(heavy("escapes that do not end", method, format!("[\"{}", as_often("\\u0041"))));
        bombs.push(bomb("half a surrogate", method, "[\"\\ud800\"]"));
        bombs.push(heavy("a long number", method, [&b"["[..], &vec![b'9'; room - 2], b"]"].concat()));
        bombs.push(bomb("an exponent", method, "[1e999999999999999999999999]"));
        bombs.push(heavy("many elements of another type", method, format!("[{}0]", as_often("0,"))));
        bombs.push(heavy("a long string of another type", method, format!("\"{}\"", "a".repeat(room - 2))));
        bombs.push(bomb("text behind it", method, "[] []"));
    }
    let digits = |digit: &str| digit.repeat(room - 20);
    for (name, body) in [
        ("digits", format!("{{\"a\":{},\"b\":1}}", digits("9"))),
        ("digits behind the point", format!("{{\"a\":0.{},\"b\":1}}", digits("1"))),
        ("a small exponent", "{\"a\":1e-99999999999999999999,\"b\":1}".to_owned()),
        ("a long string", format!("{{\"a\":\"{}\",\"b\":1}}", digits("a"))),
        ("a field twice", format!("{{{}\"b\":1}}", as_often("\"a\":1,"))),
        ("fields that it does not have", format!("{{{}\"b\":1}}", as_often("\"c\":1,"))),
        ("a long name", format!("{{\"{}\":1}}", digits("a"))),
        ("more than 64 bits", "{\"a\":9223372036854775808,\"b\":1}".to_owned()),
    ] {
        bombs.push(heavy(name, MULTIPLY, body));
    }
    let strings = format!("[{}0]", as_often("\"\","));
    bombs.push(heavy("strings and a number", STRINGS, strings));
    bombs.push(bomb("129 levels", NESTED, format!("{}{}", "[".repeat(129), "]".repeat(129))));
    // The decoder skips them without a stack.
    bombs.push(value("levels in a field that is not known", MULTIPLY, unknown(room / 4)));
    bombs.push(heavy("many elements", UNITS, format!("[{}null", as_often("null,"))));
    bombs
}

/// Levels in a place that a decoder skips.
fn unknown(levels: usize) -> String {
    format!("{{\"a\":6,\"x\":{}{},\"b\":7}}", "[".repeat(levels), "]".repeat(levels))
}
