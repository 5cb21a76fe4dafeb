//! The heads, and what each has to be answered with.

/// A head and its answer.
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) head: Vec<u8>,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// 200, and what follows are frames.
    Accepted,
    /// 200, and what follows are no frames: a GoAway with this reason, and the end.
    Broken(u8),
    /// One answer with this status, and the end.
    Closed(u16),
    /// It never ends: nothing until its sender closes, then the end.
    Nothing,
}

use Answer::{Accepted, Broken, Closed, Nothing};

pub(super) fn shapes() -> Vec<Shape> {
    let long = |unit: &str, count| unit.repeat(count);
    let whole = [
        // What ends lines and heads.
        ("bare line feeds", "CONNECT /_rpc_ HTTP/1.0\n\n", Accepted),
        ("mixed line ends", "CONNECT /_rpc_ HTTP/1.0\nX: a\r\nY: b\n\r\n", Accepted),
        ("empty lines first", "\r\n\n\r\nCONNECT /_rpc_ HTTP/1.0\r\n\r\n", Accepted),
        ("CR in front", "\rCONNECT /_rpc_ HTTP/1.0\r\n\r\n", Closed(400)),
        ("CR CR behind the version", "CONNECT /_rpc_ HTTP/1.0\r\r\n\r\n", Closed(400)),
        ("CR CR LF as the last line", "CONNECT /_rpc_ HTTP/1.0\r\n\r\r\n\r\n", Closed(400)),
        ("CRs alone", "CONNECT /_rpc_ HTTP/1.0\r\r", Nothing),
        ("a line of a space", "CONNECT /_rpc_ HTTP/1.0\r\n \r\n\r\n", Closed(400)),
        ("NUL in front", "\0CONNECT /_rpc_ HTTP/1.0\r\n\r\n", Closed(400)),
        // Targets.
        ("an authority", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", Closed(404)),
        ("a host alone", "CONNECT _rpc_ HTTP/1.0\r\n\r\n", Closed(404)),
        ("a whole URI", "CONNECT http://host/ HTTP/1.0\r\n\r\n", Closed(404)),
        ("a whole URI of this path", "CONNECT http://localhost/_rpc_ HTTP/1.0\r\n\r\n", Closed(404)),
        ("a target with a user", "CONNECT u:p@127.0.0.1:22 HTTP/1.0\r\n\r\n", Closed(404)),
        ("two slashes", "CONNECT //host/_rpc_ HTTP/1.0\r\n\r\n", Closed(404)),
        ("an asterisk", "CONNECT * HTTP/1.0\r\n\r\n", Closed(404)),
        ("the root", "CONNECT / HTTP/1.0\r\n\r\n", Closed(404)),
        ("a slash behind", "CONNECT /_rpc_/ HTTP/1.0\r\n\r\n", Closed(404)),
        ("upper case", "CONNECT /_RPC_ HTTP/1.0\r\n\r\n", Closed(404)),
        ("percent", "CONNECT /%5Frpc_ HTTP/1.0\r\n\r\n", Closed(404)),
        ("dots", "CONNECT /x/../_rpc_ HTTP/1.0\r\n\r\n", Closed(404)),
        ("a parameter", "CONNECT /_rpc_;a HTTP/1.0\r\n\r\n", Closed(404)),
        ("a query", "CONNECT /_rpc_?a=b HTTP/1.0\r\n\r\n", Accepted),
        ("no target", "CONNECT  HTTP/1.0\r\n\r\n", Closed(400)),
        ("two targets", "CONNECT /_rpc_ /x HTTP/1.0\r\n\r\n", Closed(400)),
        ("a tab for a space", "CONNECT\t/_rpc_ HTTP/1.0\r\n\r\n", Closed(400)),
        ("NUL in the target", "CONNECT /_rpc_\0 HTTP/1.0\r\n\r\n", Closed(400)),
        ("a route's path", "CONNECT /debug/rpc HTTP/1.0\r\n\r\n", Closed(405)),
        // Versions.
        ("HTTP/1.1 without Host", "CONNECT /_rpc_ HTTP/1.1\r\n\r\n", Accepted),
        ("HTTP/1.2", "CONNECT /_rpc_ HTTP/1.2\r\n\r\n", Closed(505)),
        ("HTTP/2.0", "CONNECT /_rpc_ HTTP/2.0\r\n\r\n", Closed(505)),
        ("HTTP/0.9", "CONNECT /_rpc_ HTTP/0.9\r\n\r\n", Closed(505)),
        ("HTTP/1.10", "CONNECT /_rpc_ HTTP/1.10\r\n\r\n", Closed(400)),
        ("a version in lower case", "CONNECT /_rpc_ http/1.0\r\n\r\n", Closed(400)),
        ("a version of its own", "CONNECT /_rpc_ RPC/1.0\r\n\r\n", Closed(400)),
        ("no version", "CONNECT /_rpc_\r\n\r\n", Closed(400)),
        ("a GET of HTTP/0.9", "GET /\r\n", Nothing),
        ("a GET of HTTP/0.9 with an empty line", "GET /\r\n\r\n", Closed(400)),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Closed(505)),
        // Methods.
        ("connect", "connect /_rpc_ HTTP/1.0\r\n\r\n", Closed(405)),
        ("Connect", "Connect /_rpc_ HTTP/1.0\r\n\r\n", Closed(405)),
        ("CONNECTX", "CONNECTX /_rpc_ HTTP/1.0\r\n\r\n", Closed(405)),
        ("a parenthesis in the method", "CONN(ECT /_rpc_ HTTP/1.0\r\n\r\n", Closed(400)),
        ("no method", " /_rpc_ HTTP/1.0\r\n\r\n", Closed(400)),
        ("HEAD", "HEAD /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n", Closed(405)),
        ("OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Closed(405)),
        ("a GET with a body", "GET /_rpc_ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", Closed(405)),
        ("a POST in chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Closed(405)),
        // Two heads.
        ("a GET and a CONNECT", "GET / HTTP/1.1\r\n\r\nCONNECT /_rpc_ HTTP/1.0\r\n\r\n", Closed(405)),
        (
            "a GET kept alive and a CONNECT",
            "GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\nCONNECT /_rpc_ HTTP/1.0\r\n\r\n",
            Closed(405),
        ),
        (
            "a CONNECT as the body of a GET",
            "GET / HTTP/1.1\r\nContent-Length: 27\r\n\r\nCONNECT /_rpc_ HTTP/1.0\r\n\r\n",
            Closed(405),
        ),
        (
            "a page and a CONNECT",
            "GET /debug/rpc HTTP/1.1\r\n\r\nCONNECT /_rpc_ HTTP/1.0\r\n\r\n",
            Closed(200),
        ),
        ("two pages", "GET /debug/rpc HTTP/1.1\r\n\r\nGET /debug/rpc HTTP/1.1\r\n\r\n", Closed(200)),
        ("two CONNECTs", "CONNECT /_rpc_ HTTP/1.0\r\n\r\nCONNECT /_rpc_ HTTP/1.0\r\n\r\n", Broken(2)),
        ("a CONNECT and a GET", "CONNECT /_rpc_ HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", Broken(2)),
        ("a wrong CONNECT and a right one", "CONNECT / HTTP/1.0\n\nCONNECT /_rpc_ HTTP/1.0\n\n", Closed(404)),
        // Others.
        ("SSH", "SSH-2.0-OpenSSH_9.9\r\n", Nothing),
        ("a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00", Closed(400)),
        ("a TLS handshake and a CONNECT", "\x16\x03\x01CONNECT /_rpc_ HTTP/1.0\r\n\r\n", Closed(400)),
        (
            "a WebSocket",
            "GET /_rpc_ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            Closed(405),
        ),
    ];
    let mut shapes = Vec::new();
    let mut add = |name: &str, head: &[u8], answer| {
        shapes.push(Shape { name: name.to_owned(), head: head.to_owned(), answer });
    };
    whole.iter().for_each(|(name, head, answer)| add(name, head.as_bytes(), *answer));
    add("8 bits in the target", b"CONNECT /_rpc_\xff HTTP/1.0\r\n\r\n", Closed(400));
    add("8 bits in the method", b"CONN\xc9CT /_rpc_ HTTP/1.0\r\n\r\n", Closed(400));
    let method = |length| format!("{} /_rpc_ HTTP/1.0\r\n\r\n", long("A", length));
    add("a method of 8,000 bytes", method(8000).as_bytes(), Closed(405));
    add("a method of 9,000 bytes", method(9000).as_bytes(), Closed(431));
    let target = format!("CONNECT /_rpc_?{} HTTP/1.0\r\n\r\n", long("a", 8000));
    add("a query of 8,000 bytes", target.as_bytes(), Accepted);
    for (headers, answer) in HEADERS {
        let head = [b"CONNECT /_rpc_ HTTP/1.1\r\n", *headers, b"\r\n\r\n"].concat();
        add(&headers.escape_ascii().to_string(), &head, *answer);
    }
    shapes
}

/// What stands between the first line and the last line end of a CONNECT.
const HEADERS: &[(&[u8], Answer)] = &[
    // A body.
    (b"Content-Length: 0", Closed(400)),
    (b"Content-Length: 47", Closed(400)),
    (b"content-length:47", Closed(400)),
    (b"CONTENT-LENGTH:\t47 ", Closed(400)),
    (b"Content-Length: +47", Closed(400)),
    (b"Content-Length: -1", Closed(400)),
    (b"Content-Length: 99999999999999999999", Closed(400)),
    (b"Content-Length: 0, 47", Closed(400)),
    (b"Content-Length:", Closed(400)),
    (b"Content-Length: 0\r\nContent-Length: 47", Closed(400)),
    (b"Content-Length : 47", Closed(400)),
    (b"Content-Length\t: 47", Closed(400)),
    (b"Content-Length\0: 47", Closed(400)),
    (b"\x0bContent-Length: 47", Closed(400)),
    (b"X: a\rContent-Length: 47", Closed(400)),
    (b"X: a\nContent-Length: 47", Closed(400)),
    (b"Transfer-Encoding: chunked", Closed(400)),
    (b"transfer-encoding:chunked", Closed(400)),
    (b"TRANSFER-ENCODING: CHUNKED", Closed(400)),
    (b"Transfer-Encoding: identity", Closed(400)),
    (b"Transfer-Encoding: xchunked", Closed(400)),
    (b"Transfer-Encoding: \x0bchunked", Closed(400)),
    (b"Transfer-Encoding: gzip, chunked", Closed(400)),
    (b"Transfer-Encoding:", Closed(400)),
    (b"Transfer-Encoding : chunked", Closed(400)),
    (b"Transfer-Encoding\r: chunked", Closed(400)),
    (b"Content-Length: 0\r\nTransfer-Encoding: chunked", Closed(400)),
    // Names that only look like it.
    (b"Content_Length: 47", Accepted),
    (b"X-Content-Length: 47\r\nTE: chunked\r\nTrailer: x", Accepted),
    (b"Expect: 100-continue", Accepted),
    (b"Upgrade: websocket\r\nConnection: Upgrade", Accepted),
    (b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk", Accepted),
    (b"Proxy-Connection: keep-alive", Accepted),
    // Hosts.
    (b"Host: a", Accepted),
    (b"Host: a\r\nHost: b", Closed(400)),
    (b"Host: a\r\nhost: a", Closed(400)),
    (b"Host: a\r\nX: b\r\nHOST:", Closed(400)),
    // Lines that go on.
    (b"X: a\r\n b", Closed(400)),
    (b"X: a\r\n\tContent-Length: 47", Closed(400)),
    (b"X: a\n b", Closed(400)),
    (b" X: a", Closed(400)),
    (b"X: a\r\n ", Closed(400)),
    // Names and values.
    (b"X", Closed(400)),
    (b": a", Closed(400)),
    (b"X Y: a", Closed(400)),
    (b"X\x80: a", Closed(400)),
    (b"X\x01: a", Closed(400)),
    (b"X: \0", Closed(400)),
    (b"X: a\0b", Closed(400)),
    (b"X: a\x01b", Closed(400)),
    (b"X: a\x7fb", Closed(400)),
    (b"X: a\rb", Closed(400)),
    (b"X: a\r", Closed(400)),
    (b"X: a\tb", Accepted),
    (b"X: \xc3\xa9\xff", Accepted),
    // Web pages.
    (b"Origin: https://evil.example", Closed(403)),
    (b"origin: null", Closed(403)),
    (b"Origin:", Closed(403)),
    (b"Origin: https://evil.example\r\nContent-Length: 47", Closed(403)),
    // Terms.
    (b"Rpc-Version: 2", Closed(505)),
    (b"Rpc-Version: 1\r\nRpc-Version: 2", Closed(400)),
    (b"Rpc-Max-Frame: 65535", Closed(400)),
    (b"Rpc-Max-Frame: +65536", Closed(400)),
    (b"Rpc-Max-Frame: 0x10000", Closed(400)),
    (b"Rpc-Max-Frame: 18446744073709617152", Closed(400)),
    (b"Rpc-Max-Frame: 65536\r\nRpc-Max-Frame: 65537", Closed(400)),
    (b"Rpc-Window: 0", Closed(400)),
    (b"Rpc-Max-Calls: -1", Closed(400)),
    (b"Rpc-Format: cbor", Closed(415)),
    (b"Rpc-Format: ,,,", Closed(415)),
    (b"Rpc-Format: cbor,,BINCODE", Accepted),
    (b"Rpc-Anything: x", Accepted),
];
