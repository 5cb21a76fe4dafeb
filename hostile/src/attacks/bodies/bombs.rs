//! The bodies.

use rpc_core::Format;

/// A body that its method must not take, or one that costs it as much as a value can.
pub(super) struct Bomb {
    pub(super) name: String,
    pub(super) method: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) is_value: bool,
}

/// What a frame has room for, with the head of its request.
const ROOM: usize = 4 * 1024 * 1024 - 100;

const MULTIPLY: &str = "Arith.Multiply";
const STRINGS: &str = "Hostile.Strings";
const UNITS: &str = "Hostile.Units";
const NESTED: &str = "Hostile.Nested";

pub(super) fn bombs(format: Format) -> Vec<Bomb> {
    match format {
        Format::Bincode => in_bincode(),
        _ => in_json(),
    }
}

fn bomb(name: &str, method: &'static str, body: impl Into<Vec<u8>>) -> Bomb {
    Bomb { name: format!("{method}: {name}"), method, body: body.into(), is_value: false }
}

fn value(name: &str, method: &'static str, body: impl Into<Vec<u8>>) -> Bomb {
    Bomb { is_value: true, ..bomb(name, method, body) }
}

/// A length as bincode writes it, in eight bytes.
fn length(length: u64) -> Vec<u8> {
    [&[0xfd][..], &length.to_le_bytes()].concat()
}

fn in_bincode() -> Vec<Bomb> {
    let mut bombs = Vec::new();
    for method in [STRINGS, UNITS, NESTED] {
        for claimed in [1 << 62, 1 << 32, u64::MAX, ROOM as u64 + 65_536] {
            bombs.push(bomb(&format!("{claimed} elements"), method, length(claimed)));
        }
        bombs.push(bomb("nothing", method, []));
        bombs.push(bomb("half a length", method, [0xfd, 1, 2]));
        bombs.push(bomb("a length of 16 bytes", method, [&[0xfe][..], &[0xff; 16]].concat()));
        bombs.push(bomb("a byte behind it", method, [0, 0]));
        bombs.push(bomb("4 MiB behind it", method, vec![0; ROOM]));
        bombs.push(bomb("a length that is none", method, [0xff]));
    }
    for claimed in [1 << 62, 1 << 32, u64::MAX, ROOM as u64] {
        bombs.push(bomb(&format!("a string of {claimed}"), STRINGS, [vec![1], length(claimed)].concat()));
    }
    bombs.push(bomb("no UTF-8", STRINGS, [1, 3, b'a', 0xff, b'b']));
    let long = [vec![1], length(ROOM as u64 - 10), vec![0xff; ROOM - 10]].concat();
    bombs.push(bomb("4 MiB that are no UTF-8", STRINGS, long));
    bombs.push(bomb("4 MiB of strings and one that is none", STRINGS, many(b"\xff")));
    bombs.push(bomb("4 MiB of strings and one byte too many", STRINGS, many(b"\0\0")));
    // As many as may be would be taken: an element of `()` takes no byte.
    bombs.push(bomb("an element too many", UNITS, length(9 + 65_536 + 1)));
    bombs.push(bomb("1 million levels", NESTED, vec![1; 1_000_000]));
    bombs.push(bomb("4 million levels", NESTED, vec![1; ROOM]));
    bombs.push(bomb("129 levels", NESTED, [&[1; 129][..], &[0]].concat()));
    bombs.push(bomb("levels that are wide", NESTED, [250; 100_000]));
    bombs.push(bomb("4 million elements, then levels", NESTED, many(&[1; 200])));
    bombs.push(bomb("cut short", MULTIPLY, [12]));
    bombs.push(bomb("a byte behind it", MULTIPLY, [12, 14, 0]));
    bombs.push(bomb("4 MiB behind it", MULTIPLY, vec![12; ROOM]));
    bombs.push(bomb("a number of 16 bytes", MULTIPLY, [&[0xfe][..], &[0xff; 32]].concat()));
    bombs.push(bomb("numbers that are none", MULTIPLY, [0xff; 32]));
    bombs.push(value("4 million strings", STRINGS, many(b"\0")));
    bombs.push(value("4 million empty elements", NESTED, many(b"\0")));
    bombs.push(value("as many elements as may be", UNITS, length(9 + 65_536)));
    bombs
}

/// As many elements of one byte as there is room for, and these in place of the last.
fn many(last: &[u8]) -> Vec<u8> {
    let before = ROOM - 1000;
    [length(before as u64 + 1), vec![0; before], last.to_owned()].concat()
}

fn in_json() -> Vec<Bomb> {
    let mut bombs = Vec::new();
    for method in [STRINGS, UNITS, NESTED, MULTIPLY] {
        for (name, text) in [("an array", "["), ("an object", "{\"a\":"), ("both", "[{\"a\":")] {
            let levels = 500_000 / text.len() * text.len();
            bombs.push(bomb(&format!("{levels} bytes of levels, {name}"), method, text.repeat(levels)));
        }
        let closed = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        bombs.push(bomb("1 million levels that end", method, closed));
        bombs.push(bomb("4 million levels", method, vec![b'['; ROOM]));
        bombs.push(bomb("nothing", method, []));
        bombs.push(bomb("4 MiB of spaces", method, vec![b' '; ROOM]));
        bombs.push(bomb("no UTF-8", method, b"[\"\xff\xfe\"]"));
        bombs.push(bomb("NULs", method, [0; 1000]));
        bombs.push(bomb("a string that does not end", method, [&b"[\""[..], &vec![b'a'; ROOM - 2]].concat()));
        bombs.push(bomb("escapes that do not end", method, format!("[\"{}", "\\u0041".repeat(600_000))));
        bombs.push(bomb("half a surrogate", method, "[\"\\ud800\"]"));
        bombs.push(bomb(
            "a number of 4 million digits",
            method,
            [&b"["[..], &vec![b'9'; ROOM - 2], b"]"].concat(),
        ));
        bombs.push(bomb("an exponent", method, "[1e999999999999999999999999]"));
        bombs.push(bomb(
            "4 million elements of another type",
            method,
            format!("[{}0]", "0,".repeat(2_000_000)),
        ));
        bombs.push(bomb("a long string of another type", method, format!("\"{}\"", "a".repeat(ROOM - 2))));
        bombs.push(bomb("text behind it", method, "[] []"));
    }
    let digits = |digit: &str, count| digit.repeat(count);
    for (name, body) in [
        ("4 million digits", format!("{{\"a\":{},\"b\":1}}", digits("9", ROOM - 20))),
        ("4 million digits behind the point", format!("{{\"a\":0.{},\"b\":1}}", digits("1", ROOM - 20))),
        ("a small exponent", "{\"a\":1e-99999999999999999999,\"b\":1}".to_owned()),
        ("a string of 4 million", format!("{{\"a\":\"{}\",\"b\":1}}", digits("a", ROOM - 20))),
        ("a field twice", format!("{{{}\"b\":1}}", digits("\"a\":1,", 600_000))),
        ("fields that it does not have", format!("{{{}\"b\":1}}", digits("\"c\":1,", 600_000))),
        ("a name of 4 million", format!("{{\"{}\":1}}", digits("a", ROOM - 20))),
        ("more than 64 bits", "{\"a\":9223372036854775808,\"b\":1}".to_owned()),
    ] {
        bombs.push(bomb(name, MULTIPLY, body));
    }
    let strings = format!("[{}0]", "\"\",".repeat(1_300_000));
    bombs.push(bomb("1.3 million strings and a number", STRINGS, strings));
    bombs.push(bomb("129 levels", NESTED, format!("{}{}", "[".repeat(129), "]".repeat(129))));
    // The decoder skips them without a stack.
    bombs.push(value("1 million levels in a field that is not known", MULTIPLY, unknown(1_000_000)));
    bombs.push(bomb("many elements", UNITS, format!("[{}null", "null,".repeat(800_000))));
    bombs
}

/// Levels in a place that a decoder skips.
fn unknown(levels: usize) -> String {
    format!("{{\"a\":6,\"x\":{}{},\"b\":7}}", "[".repeat(levels), "]".repeat(levels))
}
