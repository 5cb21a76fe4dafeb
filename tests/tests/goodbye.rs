//! What a client makes of a server that goes away.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rpc_client::{Client, Error, Lost};
use tests::{Frame, Raw, raw_server, within};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

fn go_away(last: u64, reason: u8, message: &str) -> Frame {
    Frame::new(Frame::GO_AWAY, last, [&[reason], message.as_bytes()].concat())
}

#[tokio::test]
async fn the_servers_words_reach_the_calls_it_refuses_and_all_later_ones() {
    let (client, mut raw) = raw_server(4096, "").await;
    let kept = client.start::<i64>("Any.Name", 1);
    let refused = client.start::<i64>("Any.Name", 2);
    let first = raw.frame().await;
    assert!(!client.is_closed());
    raw.send(&go_away(first.id, 3, "too many cancels")).await;
    let errors = [
        within(refused).await.unwrap_err(),
        within(client.call::<_, i64>("Any.Name", 3)).await.unwrap_err(),
        within(client.start::<i64>("Any.Name", 4)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("too many cancels"), "{error}");
    }
    assert!(client.is_closed());
    raw.send(&Frame::response(first.id, &5i64)).await;
    assert_eq!(within(kept).await.unwrap(), 5);
}

/// A pipe whose end looks as one that the peer has reset.
struct Reset(DuplexStream);

impl AsyncRead for Reset {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        Poll::Ready(match buf.filled().len() {
            after if after == before => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(()),
        })
    }
}

impl AsyncWrite for Reset {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn the_servers_words_outlive_a_reset_that_follows_them() {
    let (near, far) = tokio::io::duplex(4096);
    let admitted = tokio::spawn(Raw::admit(far, ""));
    let client = within(Client::new(Reset(near))).await.unwrap();
    let mut raw = admitted.await.unwrap();
    let call = client.start::<i64>("Any.Name", 1);
    let request = raw.frame().await;
    raw.send(&go_away(request.id, 1, "call id 1/0 does not grow")).await;
    drop(raw);
    for error in [within(call).await, within(client.call("Any.Name", 2)).await].map(Result::unwrap_err) {
        assert!(matches!(error, Error::ConnectionLost { source: Lost::GoingAway(Some(_)), .. }), "{error:?}");
        assert!(error.to_string().contains("does not grow"), "{error}");
    }
}

#[tokio::test]
async fn control_characters_of_the_server_do_not_reach_an_errors_text() {
    let (client, mut raw) = raw_server(4096, "").await;
    let call = client.start::<i64>("Any.Name", 1);
    let request = raw.frame().await;
    raw.send(&go_away(request.id, 0, "\x1b[2Jall is well\nINFO fake line")).await;
    drop(raw);
    let text = within(call).await.unwrap_err().to_string();
    assert!(text.contains("all is well") && !text.contains(char::is_control), "{text:?}");
}
