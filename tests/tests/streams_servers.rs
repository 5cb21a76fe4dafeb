//! Servers that break the rules of streams: the client says what was wrong, and which call it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;

use futures_util::StreamExt;
use rpc_client::{Client, Error, Lost};
use rpc_core::frame::Kind;
use rpc_core::stream::Fault;
use rpc_core::{CallId, Executed, ProtocolError, Streaming};
use tests::{CREDIT, END, Frame, MORE, Raw, encoded, raw_server, within};
use tokio::io::DuplexStream;

const COMPRESSED: u8 = 0x80;

const WINDOW: usize = 512 * 1024;

/// What a server answers to the call of that id.
type Answer = fn(u64) -> Vec<Frame>;

type Items = Streaming<i64, Error>;

fn head(id: u64) -> Frame {
    Frame { flags: MORE, ..Frame::new(Frame::RESPONSE, id, []) }
}

fn credit(id: u64, increment: u32) -> Frame {
    Frame::new(CREDIT, id, increment.to_be_bytes())
}

/// A client whose one call with items in both directions was answered with these frames; all that it says of that.
async fn answered(frames: Answer) -> (Client, Raw<DuplexStream>, Vec<Result<i64, Error>>) {
    let (client, mut raw) = raw_server(4096, "").await;
    let call = client.call_bidi_stream::<_, i64, i64>("Any.Name", ());
    let (_numbers, items) = within(call).await.unwrap();
    let id = raw.frame().await.id;
    let collecting = tokio::spawn(items.collect::<Vec<_>>());
    for frame in frames(id) {
        raw.send(&frame).await;
    }
    (client, raw, within(collecting).await.unwrap())
}

#[tokio::test]
async fn a_breach_of_the_rules_of_streams_ends_the_connection_and_its_streams_say_what_it_was() {
    let id = CallId::client(1, 0);
    let unexpected = |kind| ProtocolError::UnexpectedKind { kind, id };
    let cases: [(Answer, ProtocolError); 9] = [
        (|id| vec![Frame::item(id, b"\x02")], unexpected(Kind::Data)),
        (|id| vec![Frame::new(END, id, [])], unexpected(Kind::End)),
        (|id| vec![head(id), head(id)], unexpected(Kind::Response)),
        (
            |id| vec![head(id), Frame::new(Frame::DATA, id, [])],
            ProtocolError::Truncated { kind: Kind::Data, field: "item length" },
        ),
        (
            |id| vec![head(id), Frame { flags: COMPRESSED, ..Frame::item(id, b"1") }],
            ProtocolError::UnknownFlags { kind: Kind::Data, flags: COMPRESSED },
        ),
        (|id| vec![head(id), Frame::begin(id, 2, b"1"), Frame::new(END, id, [])], unexpected(Kind::End)),
        (|id| vec![credit(id, 0)], ProtocolError::BadCredit { increment: 0 }),
        (|id| vec![credit(id, u32::MAX)], ProtocolError::BadCredit { increment: u32::MAX }),
        (
            |id| vec![Frame::item(id + (1 << 16), b"")],
            ProtocolError::UnknownCall { kind: Kind::Data, id: CallId::client(2, 0) },
        ),
    ];
    for (frames, expected) in cases {
        let (_client, mut raw, items) = answered(frames).await;
        let Some(Err(Error::ConnectionLost { executed, source, call })) = items.last() else {
            panic!("{items:?} and not {expected:?}");
        };
        assert!(matches!(source, Lost::Protocol(was) if *was == expected), "{source:?} and not {expected:?}");
        assert_eq!((*executed, &*call.method), (Executed::Maybe, "Any.Name"));
        let go_away = loop {
            let frame = raw.frame().await;
            if frame.kind == Frame::GO_AWAY {
                break frame;
            }
        };
        let text = String::from_utf8_lossy(&go_away.body[1..]).into_owned();
        assert_eq!((go_away.body[0], text), (1, expected.to_string()));
    }
}

#[tokio::test]
async fn items_beyond_the_window_end_the_connection_after_those_within_it() {
    let (client, mut raw) = raw_server(1 << 20, "").await;
    let call = tokio::spawn(client.call_server_stream("Any.Items", ()).into_future());
    let id = raw.frame().await.id;
    raw.send(&head(id)).await;
    let items: Items = within(call).await.unwrap().unwrap();
    let within_it = WINDOW.div_ceil(1 + 32);
    raw.say(&Frame::item(id, b"\x02").to_bytes().repeat(within_it + 1)).await;
    while raw.frame().await.kind != Frame::GO_AWAY {}
    let items: Vec<_> = within(items.collect()).await;
    assert_eq!(items.iter().filter(|item| item.is_ok()).count(), within_it);
    let Some(Err(Error::ConnectionLost { source: Lost::Protocol(source), .. })) = items.last() else {
        panic!()
    };
    assert_eq!(*source, ProtocolError::OverCredit { id: CallId::client(1, 0) });
}

#[tokio::test]
async fn items_after_the_end_of_a_stream_end_the_connection_and_not_the_stream() {
    let (client, mut raw, items) =
        answered(|id| vec![head(id), Frame::item(id, b"\x02"), Frame::new(END, id, [])]).await;
    assert!(matches!(items[..], [Ok(1)]), "{items:?}");
    let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
    let mut frame = raw.frame().await;
    while frame.kind != Frame::REQUEST {
        frame = raw.frame().await;
    }
    raw.send(&Frame::item(1 << 16, b"\x02")).await;
    let error = within(call).await.unwrap().unwrap_err();
    let Error::ConnectionLost { source: Lost::Protocol(source), .. } = error else { panic!("{error:?}") };
    assert_eq!(source, ProtocolError::UnknownCall { kind: Kind::Data, id: CallId::client(1, 0) });
}

#[tokio::test]
async fn items_for_a_call_without_a_stream_end_the_connection() {
    for (flags, kind) in [(MORE, Frame::RESPONSE), (0, Frame::DATA), (0, END)] {
        let (client, mut raw) = raw_server(4096, "").await;
        let call = tokio::spawn(client.call::<_, i64>("Any.Name", 1).into_future());
        let id = raw.frame().await.id;
        raw.send(&Frame { flags, ..Frame::new(kind, id, encoded(&1i64)) }).await;
        let error = within(call).await.unwrap().unwrap_err();
        let unexpected = matches!(
            &error,
            Error::ConnectionLost { source: Lost::Protocol(ProtocolError::UnexpectedKind { .. }), .. }
        );
        assert!(unexpected, "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_fails_its_call_alone() {
    let (client, mut raw) = raw_server(4096, "").await;
    let call = tokio::spawn(client.call_server_stream::<_, i64>("Any.Items", ()).into_future());
    let id = raw.frame().await.id;
    assert_eq!(raw.frame().await.kind, END);
    raw.send(&Frame::response(id, &1i64)).await;
    let error = within(call).await.unwrap().unwrap_err();
    let one = matches!(error, Error::Stream { source: Fault::WrongShape { stream: false }, .. });
    assert!(one && error.executed() == Executed::Yes, "{error:?}");

    let call = client.call_client_stream::<_, i64, i64>("Any.Sum", ());
    let (numbers, sum) = within(call).await.unwrap();
    let id = raw.frame().await.id;
    for frame in [head(id), Frame::item(id, &encoded(&1i64))] {
        raw.send(&frame).await;
    }
    let error = within(sum).await.unwrap_err();
    assert!(matches!(error, Error::Stream { source: Fault::WrongShape { stream: true }, .. }), "{error:?}");
    drop(numbers);
    let cancel = raw.frame().await;
    assert_eq!((cancel.kind, cancel.id), (Frame::CANCEL, id));
    raw.send(&Frame::new(END, id, [])).await;
    // The connection goes on.
    let answers = async {
        let ping = raw.frame().await;
        assert_eq!(ping.kind, Frame::PING, "and nothing before it");
        raw.send(&Frame::new(Frame::PONG, ping.id, [])).await;
    };
    tokio::join!(within(client.ping()), answers).0.unwrap();
}

#[tokio::test]
async fn an_item_that_cannot_be_taken_ends_its_stream_alone_and_gives_the_call_up() {
    let limit = 4 * 1024 * 1024;
    let too_large = |id| vec![head(id), Frame::item(id, b"\x02"), Frame::begin(id, (4 << 20) + 1, b"")];
    let (client, mut raw, items) = answered(too_large).await;
    let [Ok(1), Err(Error::Stream { source, .. })] = &items[..] else { panic!("{items:?}") };
    assert_eq!(*source, Fault::ItemTooLarge { limit });
    assert_eq!(raw.frame().await.kind, Frame::CANCEL);
    assert!(!client.is_closed());
}

#[tokio::test]
async fn a_client_cancels_once_and_takes_what_was_on_its_way() {
    let (client, mut raw) = raw_server(4096, "Rpc-Max-Streams: 1\r\n").await;
    let call = tokio::spawn(client.call_server_stream("Any.Items", ()).into_future());
    let id = raw.frame().await.id;
    assert_eq!(raw.frame().await.kind, END);
    raw.send(&head(id)).await;
    let items: Items = within(call).await.unwrap().unwrap();
    drop(items);
    assert_eq!(raw.frame().await.kind, Frame::CANCEL);
    for frame in
        [Frame::item(id, b"\x02"), Frame::begin(id, 2, b"\x02"), Frame::new(Frame::DATA, id, *b"\x02")]
    {
        raw.send(&frame).await;
    }
    let full = within(client.call_server_stream::<_, i64>("Any.Items", ())).await.unwrap_err();
    assert!(matches!(full, Error::Limit { .. }), "it counts until its terminal frame: {full:?}");
    raw.send(&Frame::new(END, id, [])).await;
    let next = tokio::spawn(async move {
        loop {
            match client.call_server_stream::<_, i64>("Any.Items", ()).await {
                Err(Error::Limit { .. }) => tokio::task::yield_now().await,
                other => break other.map(drop),
            }
        }
    });
    let request = raw.frame().await;
    assert_eq!((request.kind, request.id > id), (Frame::REQUEST, true), "and no second Cancel");
    raw.send(&head(request.id)).await;
    within(next).await.unwrap().unwrap();
}
