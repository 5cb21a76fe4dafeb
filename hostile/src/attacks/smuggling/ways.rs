//! The same heads on the other ways in: by Upgrade, by WebSocket, and where hyper reads them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use axum::routing::get;
use examples::{Args, ArithServer, Calculator};
use rpc_server::Server;
use tests::Frame;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::shapes::{Answer, Shape, shapes};
use crate::attack::Trial;
use crate::raw::Raw;

/// What an ordinary handler says; nobody asks for it but by smuggling.
const HIDDEN: &str = "never asked for";

const ASKS: &[u8] = b"CONNECT /_rpc_ HTTP/1.";

const UPGRADE: Option<&str> = Some("Upgrade: rpc\r\n");

const WEBSOCKET: Option<&str> = Some(
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
);

/// Each head that is refused when it asks by CONNECT, with a call and a request right behind it.
pub(super) async fn smuggling(trial: &mut Trial) -> Result<()> {
    let server =
        Server::builder().register(ArithServer::new(Calculator)).upgrade(true).websocket(true).build()?;
    let alone = TcpListener::bind("127.0.0.1:0").await?;
    let mounted = TcpListener::bind("127.0.0.1:0").await?;
    let ways = [
        ("Upgrade", alone.local_addr()?, UPGRADE),
        ("WebSocket", alone.local_addr()?, WEBSOCKET),
        ("CONNECT by hyper", mounted.local_addr()?, None),
        ("Upgrade by hyper", mounted.local_addr()?, UPGRADE),
        ("WebSocket by hyper", mounted.local_addr()?, WEBSOCKET),
    ];
    let app = Router::new()
        .route("/hidden", get(async || HIDDEN))
        .route_service("/_rpc_", server.clone().into_service());
    let serving = [
        tokio::spawn(async move { axum::serve(mounted, app).await.context("axum") }),
        tokio::spawn({
            let server = server.clone();
            async move { server.serve(alone).await.map(drop).context("the server") }
        }),
    ];
    let refused = |shape: &&Shape| shape.head.starts_with(ASKS) && matches!(shape.answer, Answer::Closed(_));
    let shapes = shapes();
    for (way, address, asks) in ways {
        let mut heads = 0;
        for shape in shapes.iter().filter(refused) {
            let head = asks.map_or_else(|| Some(shape.head.clone()), |asks| upgrade(&shape.head, asks));
            let Some(head) = head else { continue };
            heads += 1;
            if let Err(error) = attempt(address, &head).await {
                trial.miss(&format!("{}, {way}: {error:#}", shape.name));
            }
        }
        ensure!(serves(address, asks).await?, "{way}: a right head is refused, so that these mean nothing");
        trial.shows(way, format!("{heads} heads refused"));
    }
    trial.holds("connections are gone", gone(&server).await);
    serving.iter().for_each(|serving| serving.abort());
    Ok(())
}

/// The same head, as a request to upgrade; `None`: it is its first line that is wrong.
fn upgrade(head: &[u8], asks: &str) -> Option<Vec<u8>> {
    let behind = head.strip_prefix(ASKS)?;
    let headers = ["0\r\n", "1\r\n", "0\n"].iter().find_map(|end| behind.strip_prefix(end.as_bytes()))?;
    Some([b"GET /_rpc_ HTTP/1.1\r\nConnection: Upgrade\r\n", asks.as_bytes(), headers].concat())
}

/// One refusal at the most, and nothing of what stands behind the head.
async fn attempt(address: SocketAddr, head: &[u8]) -> Result<()> {
    let mut raw = Raw::dial(address).await?;
    let call = Frame::request(1, "Arith.Multiply", &Args { a: 6, b: 7 }).to_bytes();
    let hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    // Refused before its end, it may be closed before its end.
    let _ = raw.say(&[head, &call, &hidden[..]].concat()).await;
    let mut said = Vec::new();
    // Over what was not read, hyper closes with a reset: an end as well.
    let read = tokio::time::timeout(Duration::from_secs(5), raw.0.read_to_end(&mut said)).await;
    ensure!(read.is_ok(), "not closed; it said {}", said.escape_ascii());
    let text = String::from_utf8_lossy(&said);
    ensure!(!text.contains(HIDDEN), "what stands behind it was answered");
    match text.matches("HTTP/1.").count() {
        0 => Ok(()),
        1 if text.get(9..10) == Some("4") || text.get(9..10) == Some("5") => Ok(()),
        _ => bail!("answered {}", said.escape_ascii()),
    }
}

async fn serves(address: SocketAddr, asks: Option<&str>) -> Result<bool> {
    let mut raw = Raw::dial(address).await?;
    let head = b"CONNECT /_rpc_ HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = asks.map_or_else(|| Some(head.to_vec()), |asks| upgrade(head, asks));
    let mut call = Frame::request(1, "Arith.Multiply", &Args { a: 6, b: 7 }).to_bytes();
    if asks == WEBSOCKET {
        // In one binary message, with a mask of zeros.
        call = [&[0x82, 0x80 | u8::try_from(call.len())?, 0, 0, 0, 0][..], &call].concat();
    }
    raw.say(&[head.context("a head that is right")?, call].concat()).await?;
    raw.head().await?;
    if asks == WEBSOCKET {
        raw.0.read_exact(&mut [0; 2]).await?;
    }
    Ok(raw.answer().await?.is_some_and(|answer| answer.kind == Frame::RESPONSE))
}

async fn gone(server: &Server) -> bool {
    for _ in 0..500 {
        if server.connections() == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
