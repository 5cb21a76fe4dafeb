//! Serves a page that calls from a browser, and what it calls, on one port.

use std::process::ExitCode;

use examples::{ArithServer, Calculator};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use rpc_core::{Context, Status, Stream};
use rpc_server::{Request, Server};

const USAGE: &str = "\
Usage: browser-server [--listen ADDR]

Open http://ADDR/ in a browser: the page calls Arith.Multiply and reads streams, over WebSocket.
The first line that is printed is the address it listens on.

  --listen ADDR  host:port, port 0 for a free one [default: 127.0.0.1:1234]
  --help         this text
";

const PAGE: &str = include_str!("../../browser/index.html");
const SCRIPT: &str = include_str!("../../browser/rpc.js");

#[rpc_core::service]
trait Table {
    /// The multiples of a number, without end.
    async fn row(&self, cx: &Context, n: i64) -> Result<impl Stream<Item = Result<i64, Status>>, Status>;
}

struct Multiples;

impl Table for Multiples {
    async fn row(&self, _cx: &Context, n: i64) -> Result<impl Stream<Item = Result<i64, Status>>, Status> {
        Ok(stream::iter((1..=i64::MAX).map_while(move |i| n.checked_mul(i)).map(Ok)))
    }
}

fn main() -> ExitCode {
    examples::run("browser-server", USAGE, examples::listen_address(), serve)
}

async fn serve(listen: String) -> anyhow::Result<()> {
    let listener = examples::announce(&listen).await?;
    let address = listener.local_addr()?;
    eprintln!("open http://{address}/");
    Server::builder()
        .register(ArithServer::new(Calculator))
        .register(TableServer::new(Multiples))
        .route("/", async |_: Request| file("text/html; charset=utf-8", PAGE))
        .route("/rpc.js", async |_: Request| file("text/javascript; charset=utf-8", SCRIPT))
        .websocket(true)
        // Only this page may call: a browser says which one does.
        .allow_origin(format!("http://{address}"))
        .allow_origin(format!("http://localhost:{}", address.port()))
        .serve(listener)
        .await?;
    Ok(())
}

fn file(media_type: &'static str, text: &'static str) -> Response<&'static str> {
    let mut response = Response::new(text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
