//! Against itself, and against tungstenite's own idea of the other side.

use std::future::poll_fn;
use std::task::Waker;

use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::runtime::Builder;

use super::*;

/// A server's side, and messages to and from its client.
async fn served(pipe: usize) -> (WebSocket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (near, far) = tokio::io::duplex(pipe);
    let client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
    (WebSocket::server(near, []).await, client)
}

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(Bytes::copy_from_slice(bytes))
}

async fn closed_with(client: &mut WebSocketStream<DuplexStream>) -> CloseCode {
    match client.next().await.unwrap().unwrap() {
        Message::Close(Some(close)) => close.code,
        other => panic!("{other:?}"),
    }
}

async fn write(mut io: WriteHalf<WebSocket<DuplexStream>>, parts: Vec<Vec<u8>>) {
    for part in parts {
        io.write_all(&part).await.unwrap();
        io.flush().await.unwrap();
    }
    io.shutdown().await.unwrap();
}

async fn read(mut io: ReadHalf<WebSocket<DuplexStream>>, most: usize) -> Vec<u8> {
    let (mut all, mut some) = (Vec::new(), vec![0; most]);
    loop {
        match io.read(&mut some).await.unwrap() {
            0 => return all,
            count => all.extend_from_slice(&some[..count]),
        }
    }
}

fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let lengths = prop::collection::vec(prop_oneof![0..200_usize, 0..40_000_usize], 0..4);
    lengths.prop_map(|lengths| {
        let mut bytes = (0..=250_u8).cycle();
        lengths.into_iter().map(|len| bytes.by_ref().take(len).collect()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Both directions at once, through a pipe that takes few bytes at a time.
    #[test]
    fn any_slicing_gives_the_same_bytes(
        there in parts(),
        back in parts(),
        pipe in prop_oneof![1..40_usize, 1..100_000_usize],
        most in prop_oneof![1..40_usize, 1..100_000_usize],
    ) {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (near, far) = tokio::io::duplex(pipe);
            // Neither is shut down before the other's bytes are there: a Close ends both directions.
            let (mut server, mut client) =
                (WebSocket::server(near, []).await, WebSocket::client(far, []).await);
            let (sent_there, sent_back) = (there.concat(), back.concat());
            let exchange = async |io: &mut WebSocket<DuplexStream>, parts: &[Vec<u8>], len: usize| {
                let (mut reading, mut writing) = tokio::io::split(io);
                let write = async {
                    for part in parts {
                        writing.write_all(part).await.unwrap();
                        writing.flush().await.unwrap();
                    }
                };
                let read = async {
                    let (mut all, mut some) = (Vec::new(), vec![0; most]);
                    while all.len() < len {
                        let count = reading.read(&mut some).await.unwrap();
                        assert!(count > 0, "it ended after {} of {len} bytes", all.len());
                        all.extend_from_slice(&some[..count]);
                    }
                    all
                };
                tokio::join!(write, read).1
            };
            let (at_server, at_client) = tokio::join!(
                exchange(&mut server, &back, sent_there.len()),
                exchange(&mut client, &there, sent_back.len()),
            );
            assert!(at_server == sent_there && at_client == sent_back);
        });
    }

    #[test]
    fn a_shutdown_comes_behind_all_that_was_written(
        parts in parts(),
        pipe in prop_oneof![1..40_usize, 1..100_000_usize],
        most in prop_oneof![1..40_usize, 1..100_000_usize],
    ) {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (near, far) = tokio::io::duplex(pipe);
            let (server, client) = (WebSocket::server(near, []).await, WebSocket::client(far, []).await);
            let sent = parts.concat();
            let ((reading, mut answering), (rest, writing)) = (tokio::io::split(server), tokio::io::split(client));
            let at_server = async {
                let all = read(reading, most).await;
                answering.shutdown().await.unwrap();
                all
            };
            // The answer to the Close has to be taken, or a small pipe holds it back.
            let ((), came, answer) = tokio::join!(write(writing, parts), at_server, read(rest, most));
            assert!(came == sent && answer.is_empty());
        });
    }
}

#[tokio::test]
async fn messages_that_are_sent_have_32_kib_at_the_most() {
    let (mut server, mut client) = served(1 << 20).await;
    let sent = vec![7; 100_000];
    let slices = [IoSlice::new(&sent[..40_000]), IoSlice::new(&sent[40_000..])];
    let mut from = 0;
    from += server.write_vectored(&slices).await.unwrap();
    server.write_all(&sent[from..]).await.unwrap();
    let mut came = 0;
    while came < sent.len() {
        let message = client.next().await.unwrap().unwrap();
        assert!(message.is_binary() && message.len() <= SENT, "{} bytes", message.len());
        came += message.len();
    }
}

#[tokio::test]
async fn what_is_no_data_is_no_end() {
    let (mut server, mut client) = served(4096).await;
    for message in [binary(b"a"), binary(b""), Message::Ping(Bytes::new()), Message::Pong(Bytes::new())] {
        client.send(message).await.unwrap();
    }
    client.send(binary(b"b")).await.unwrap();
    let mut came = [0; 2];
    server.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"ab");
}

#[tokio::test]
async fn bytes_that_were_read_behind_the_handshake_come_first() {
    let (near, mut far) = tokio::io::duplex(64);
    let mut client = WebSocket::client(near, *b"\x82\x05hel").await;
    far.write_all(b"lo\x82\x01!").await.unwrap();
    let mut came = [0; 6];
    client.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"hello!");
}

#[tokio::test]
async fn a_ping_is_answered_by_whoever_only_reads() {
    // The pong does not fit into the pipe before the client reads.
    let (mut server, mut client) = served(8).await;
    let reading = tokio::spawn(async move { server.read_u8().await });
    client.send(Message::Ping(Bytes::from_static(b"are you still there?"))).await.unwrap();
    let pong = client.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"are you still there?")));
    client.send(binary(b"x")).await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), b'x');
}

#[tokio::test]
async fn text_is_an_error_and_the_peer_is_told() {
    let (mut server, mut client) = served(4096).await;
    client.send(Message::text("{}")).await.unwrap();
    assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(closed_with(&mut client).await, CloseCode::Unsupported);
    assert_eq!(server.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_message_over_1_mib_is_an_error_and_one_of_1_mib_is_none() {
    let (mut server, mut client) = served(64 * 1024).await;
    let sending = tokio::spawn(async move {
        client.send(binary(&vec![0; MAX_MESSAGE])).await.unwrap();
        let _ = client.send(binary(&vec![0; MAX_MESSAGE + 1])).await;
        client
    });
    let mut whole = vec![0; MAX_MESSAGE];
    server.read_exact(&mut whole).await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("1 MiB"), "{error}");
    drop(sending);
}

#[tokio::test]
async fn a_message_over_1_mib_is_refused_from_its_length_alone() {
    let (near, mut far) = tokio::io::duplex(4096);
    let mut server = WebSocket::server(near, []).await;
    // A final binary frame with a mask and a length of 1 MiB and 1.
    far.write_all(b"\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01\x00\x00\x00\x00").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let mut close = [0; 4];
    far.read_exact(&mut close).await.unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1009));
}

#[tokio::test]
async fn a_frame_without_a_mask_from_a_client_is_an_error() {
    let (near, mut far) = tokio::io::duplex(4096);
    let mut server = WebSocket::server(near, []).await;
    far.write_all(b"\x82\x01x").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let mut close = [0; 4];
    far.read_exact(&mut close).await.unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1002));
}

#[tokio::test]
async fn a_close_is_the_end_and_is_answered() {
    let (mut server, mut client) = served(4096).await;
    client.send(binary(b"last")).await.unwrap();
    client.close(None).await.unwrap();
    let mut came = Vec::new();
    server.read_to_end(&mut came).await.unwrap();
    assert_eq!(came, b"last");
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0, "an end stays one");
    assert!(client.next().await.unwrap().unwrap().is_close());
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    server.flush().await.unwrap();
    server.shutdown().await.unwrap();
    assert!(client.next().await.is_none(), "the transport is shut down");
}

#[tokio::test]
async fn what_came_before_the_answer_to_a_close_is_read() {
    let (mut server, mut client) = served(4096).await;
    client.send(binary(b"before")).await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(client.next().await.unwrap().unwrap().is_close());
    client.flush().await.unwrap();
    let mut came = String::new();
    server.read_to_string(&mut came).await.unwrap();
    assert_eq!(came, "before");
}

#[tokio::test]
async fn a_transport_that_ends_without_a_close_is_cut_off() {
    let (mut server, client) = served(4096).await;
    drop(client);
    assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// A client that sends the same frame for ever, and takes all that comes.
struct Endless(&'static [u8]);

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buffer.remaining() >= self.0.len() {
            buffer.put_slice(self.0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_peer_that_never_stops_saying_nothing_lets_others_have_their_turn() {
    // Empty with masks: pings, and fragments of one message.
    for (first, then) in
        [(&b"\x89\x80\0\0\0\0"[..], &b"\x89\x80\0\0\0\0"[..]), (b"\x02\x80\0\0\0\0", b"\x00\x80\0\0\0\0")]
    {
        let mut server = WebSocket::server(Endless(then), first).await;
        let mut chunk = [0; 16];
        for _ in 0..3 {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut server).poll_read(&mut cx, &mut ReadBuf::new(&mut chunk)).is_pending());
        }
        // And it is woken again.
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            let polled = Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut chunk));
            if polls == 3 { Poll::Ready(()) } else { polled.map(|_| ()) }
        })
        .await;
    }
}

#[test]
fn the_key_of_the_handshake_is_accepted_as_in_the_rfc() {
    assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
