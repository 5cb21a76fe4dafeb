//! Connections that a route takes over: which bytes it gets, and what of HTTP is left on them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_server::{Builder, Hijacked, Reply, Request, Server};
use tests::{Packets, Raw, answer_to, arith, eventually, listen, pipe, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

const HEAD: &[u8] = b"POST /raw?a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";

/// With `taker` at `/raw`.
fn taken_by<F>(taker: impl Fn(Hijacked) -> F + Clone + Send + Sync + 'static) -> Builder
where
    F: Future<Output = ()> + Send + 'static,
{
    arith().route("/raw", move |_: Request| {
        let taker = taker.clone();
        async move { Reply::hijack(taker) }
    })
}

async fn echo(mut taken: Hijacked) {
    let mut chunk = [0; 1000];
    while let Ok(count @ 1..) = taken.stream.read(&mut chunk).await {
        taken.stream.write_all(&chunk[..count]).await.unwrap();
    }
}

/// Keeps what it reads, so many bytes at a time at the most.
#[derive(Clone, Default)]
struct Keeper {
    kept: Arc<Mutex<Vec<u8>>>,
    at_a_time: Arc<AtomicUsize>,
}

impl Keeper {
    fn server(&self) -> Server {
        let keeper = self.clone();
        taken_by(move |taken| keeper.clone().keep(taken)).build().unwrap()
    }

    async fn keep(self, mut taken: Hijacked) {
        let mut chunk = vec![0; self.at_a_time.load(Ordering::Relaxed)];
        while let Ok(count @ 1..) = taken.stream.read(&mut chunk).await {
            self.kept.lock().unwrap().extend_from_slice(&chunk[..count]);
        }
    }

    /// What the taker gets of these packets.
    async fn gets(&self, server: &Server, packets: Packets, at_a_time: usize) -> Vec<u8> {
        self.at_a_time.store(at_a_time, Ordering::Relaxed);
        within(server.serve_connection(packets)).await.unwrap();
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

/// Every byte there is, and blank lines, so that what comes behind a head may look like the end of one.
fn body(length: usize) -> Vec<u8> {
    b"\r\n\r\nGET /raw HTTP/1.1\n\n".iter().copied().chain(0..=255).cycle().take(length).collect()
}

#[tokio::test]
async fn the_taker_gets_what_is_behind_the_head_however_it_was_cut_into_packets() {
    let keeper = Keeper::default();
    let server = keeper.server();
    let mut sizes = [1, 2, 3, 7, 64, 1000, 100_000].into_iter().cycle();
    for length in [0, 1, 2, 40, 4096] {
        let body = body(length);
        let sent = [HEAD, &body].concat();
        // Beyond the head the packets are the taker's affair.
        let last = sent.len().min(HEAD.len() + 6);
        for second in 0..=last {
            for first in 0..=second {
                let (packets, size) = (Packets::cut(&sent, &[first, second]), sizes.next().unwrap());
                let got = keeper.gets(&server, packets, size).await;
                assert!(got == body, "{length} bytes cut at {first} and {second}, read by {size}");
            }
        }
    }
}

#[tokio::test]
async fn the_taker_gets_what_came_with_the_head_whatever_its_length_and_is_read_in() {
    let keeper = Keeper::default();
    let server = keeper.server();
    // Around what is read of a head at once: 2 KiB, head included.
    for length in (0..6000).step_by(97).chain(2048 - HEAD.len() - 2..2048 + 2) {
        let body = body(length);
        let sent = [HEAD, &body].concat();
        for size in [1 + length % 11, 512, 2048, 10_000] {
            let got = keeper.gets(&server, Packets::cut(&sent, &[]), size).await;
            assert!(got == body, "{length} bytes, read by {size}");
        }
    }
}

#[tokio::test]
async fn a_request_in_one_packet_with_its_body_loses_none_of_it() {
    let (address, _server) = listen(taken_by(echo)).await;
    let mut raw = Raw::dial(address).await;
    raw.say(b"POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    raw.say(b" and more").await;
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.rest().await, "hello and more");
}

#[tokio::test]
async fn nothing_is_said_before_the_taker_says_it_and_nothing_after() {
    let server = taken_by(async |mut taken| taken.stream.write_all(b"hello world\n").await.unwrap());
    let server = server.build().unwrap();
    for method in ["GET", "HEAD", "CONNECT", "POST"] {
        let asked = format!("{method} /raw HTTP/1.0\r\n\r\n");
        assert_eq!(answer_to(pipe(&server), asked).await, "hello world\n", "{method}");
    }
}

/// Go leaves the deadlines of its HTTP server on the connection.
#[tokio::test(start_paused = true)]
async fn no_time_of_the_http_phase_and_none_of_rpc_goes_on_after_the_takeover() {
    let times = taken_by(echo).head_timeout(Duration::from_secs(3)).write_timeout(Duration::from_secs(3));
    let server = times.ping_interval(Duration::from_secs(3)).max_connection_age(Duration::from_secs(9));
    let server = server.build().unwrap();
    let mut raw = Raw(pipe(&server));
    raw.say(HEAD).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(10 * 3600)).await;
        raw.say(b"still").await;
        let mut said = [0; 5];
        within(raw.0.read_exact(&mut said)).await.unwrap();
        assert_eq!((&said, server.connections()), (b"still", 1));
    }
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_head_holds_on_a_path_that_is_taken_over() {
    let server = taken_by(echo).head_timeout(Duration::from_secs(3)).build().unwrap();
    let answer = answer_to(pipe(&server), &HEAD[..HEAD.len() - 1]).await;
    assert!(answer.starts_with("HTTP/1.0 408 Request Timeout\r\n"), "{answer}");
}

#[tokio::test]
async fn the_peer_may_close_its_side_and_still_be_answered() {
    let (address, _server) = listen(taken_by(async |mut taken| {
        let mut all = Vec::new();
        taken.stream.read_to_end(&mut all).await.unwrap();
        taken.stream.write_all(format!("{} bytes", all.len()).as_bytes()).await.unwrap();
    }))
    .await;
    let mut raw = Raw::dial(address).await;
    raw.say(HEAD).await;
    raw.say(&[7; 5000]).await;
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.rest().await, "5000 bytes");
}

#[tokio::test]
async fn the_taker_may_close_its_side_and_still_read() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let (address, server) = listen(taken_by(move |mut taken| {
        let keep = keep.clone();
        async move {
            taken.stream.write_all(b"no more from here").await.unwrap();
            taken.stream.shutdown().await.unwrap();
            let mut all = Vec::new();
            taken.stream.read_to_end(&mut all).await.unwrap();
            *keep.lock().unwrap() = all;
        }
    }))
    .await;
    let mut raw = Raw::dial(address).await;
    raw.say(HEAD).await;
    assert_eq!(raw.rest().await, "no more from here");
    raw.say(&[7; 100_000]).await;
    raw.0.shutdown().await.unwrap();
    eventually("the taker is done", || server.connections() == 0).await;
    assert_eq!(*kept.lock().unwrap(), [7; 100_000]);
}

#[tokio::test]
async fn the_tcp_stream_itself_comes_back_with_what_was_read_of_it() {
    let (address, _server) = listen(taken_by(async |taken| {
        let stream = taken.stream.downcast::<DuplexStream>().unwrap_err();
        assert_eq!(stream.leftover(), b"early");
        let (mut tcp, leftover) = stream.downcast::<TcpStream>().unwrap();
        assert!(tcp.peer_addr().unwrap().ip().is_loopback());
        tcp.write_all(&[b"had ", &leftover[..], b", then "].concat()).await.unwrap();
        let mut late = [0; 4];
        tcp.read_exact(&mut late).await.unwrap();
        tcp.write_all(&late).await.unwrap();
    }))
    .await;
    let mut raw = Raw::dial(address).await;
    raw.say(&[HEAD, b"early"].concat()).await;
    let mut first = [0; 16];
    within(raw.0.read_exact(&mut first)).await.unwrap();
    raw.say(b"late").await;
    assert_eq!((&first, &*raw.rest().await), (b"had early, then ", "late"));
}
