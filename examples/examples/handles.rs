//! Two ways to answer beside RPC: `/handle1` takes the connection over and writes what it likes, which is no HTTP;
//! `/handle2` answers ordinary HTTP.
//!
//! This shows both and ends; `cargo run -p examples --example handles -- --serve 127.0.0.1:8080` stays. Then:
//!
//! ```console
//! $ curl -i http://127.0.0.1:8080/handle1
//! curl: (1) Received HTTP/0.9 when not allowed
//! $ curl -i --http0.9 http://127.0.0.1:8080/handle1
//! hello world
//! $ curl -i http://127.0.0.1:8080/handle2
//! HTTP/1.0 200 OK
//! Content-Length: 12
//! Connection: close
//! Content-Type: text/plain; charset=utf-8
//!
//! hello world
//! ```
//!
//! Bytes without a head are how HTTP/0.9 answered; curl takes them for that, and since 7.66 only when it is told to.

use std::net::SocketAddr;

use anyhow::bail;
use rpc_server::{Builder, Hijacked, Reply, Request, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The connection is closed when this ends.
async fn raw(mut taken: Hijacked) {
    if let Err(error) = taken.stream.write_all(b"hello world\n").await {
        eprintln!("{error}");
    }
}

fn handles() -> Builder {
    Server::builder()
        .route("/handle1", async |_: Request| Reply::hijack(raw))
        .route("/handle2", async |_: Request| "hello world\n")
}

async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, stays) = match &arguments[..] {
        [] => ("127.0.0.1:0", false),
        [flag, address] if flag == "--serve" => (&**address, true),
        _ => bail!("Usage: handles [--serve ADDRESS]"),
    };
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let served = tokio::spawn(handles().serve(listener).into_future());
    if stays {
        println!("{address}");
        served.await??;
        return Ok(());
    }
    for path in ["/handle1", "/handle2"] {
        println!("{path}:\n{}", ask(address, path).await?);
    }
    Ok(())
}
