//! Clients behind forward proxies: what goes through, and how it ends. When nothing goes through: `proxies_errors.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use futures_util::{StreamExt, TryStreamExt, stream};
use rpc_client::{Builder, Client, Entry, Error, Hijacked, Proxy, http};
use rpc_core::{Context, Executed, Status, Stream, Streaming, service};
use rpc_server::Server;
use tests::{Args, Authority, ForwardProxy, Gate, Lines, arith, listen, listen_tls, read_head, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[service]
trait Numbers {
    async fn up_to(&self, cx: &Context, end: u64) -> Result<impl Stream<Item = Result<u64, Status>>, Status>;

    async fn doubled(
        &self,
        cx: &Context,
        numbers: Streaming<u64>,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status>;
}

struct Counter;

impl Numbers for Counter {
    async fn up_to(
        &self,
        _cx: &Context,
        end: u64,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status> {
        Ok(stream::iter(0..end).map(Ok))
    }

    async fn doubled(
        &self,
        _cx: &Context,
        numbers: Streaming<u64>,
    ) -> Result<impl Stream<Item = Result<u64, Status>>, Status> {
        Ok(numbers.map_ok(|number| 2 * number))
    }
}

async fn product(client: &Client) -> Result<i64, Error> {
    within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await
}

/// Calls, many at once, and streams in both directions.
async fn calls_and_streams(builder: Builder, address: String) {
    let client = within(builder.connect(address)).await.unwrap();
    let calls = (0..100).map(|_| product(&client));
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|product| product.unwrap() == 56));
    let numbers = NumbersClient::new(client);
    let counted = within(async { numbers.up_to(100_000).await.unwrap().try_collect::<Vec<_>>().await });
    assert!(counted.await.unwrap().into_iter().eq(0..100_000));
    let (mut sender, mut doubled) = within(numbers.doubled()).await.unwrap();
    for number in 0..100 {
        within(sender.send(number)).await.unwrap();
        assert_eq!(within(doubled.try_next()).await.unwrap(), Some(2 * number));
    }
    sender.finish();
    assert_eq!(within(doubled.try_next()).await.unwrap(), None);
}

fn server() -> rpc_server::Builder {
    arith().register(NumbersServer::new(Counter)).upgrade(true)
}

fn through(proxy: Proxy) -> Builder {
    Client::builder().proxy(proxy)
}

#[tokio::test]
async fn calls_and_streams_pass_an_http_proxy_which_resolves_the_name() {
    let (address, _server) = listen(server()).await;
    let proxy = ForwardProxy::http(None).await;
    let server = format!("far.example:{}", address.port());
    calls_and_streams(through(Proxy::http(proxy.address())), server.clone()).await;
    let by_upgrade = through(Proxy::http(proxy.address())).entry(Entry::Upgrade);
    calls_and_streams(by_upgrade, server.clone()).await;
    assert_eq!(proxy.asked(), [server.clone(), server]);
}

#[tokio::test]
async fn calls_and_streams_pass_a_socks5_proxy_which_resolves_the_name() {
    let (address, _server) = listen(server()).await;
    let proxy = ForwardProxy::socks5(None).await;
    let server = format!("far.example:{}", address.port());
    calls_and_streams(through(Proxy::socks5(proxy.address())), server.clone()).await;
    calls_and_streams(through(Proxy::socks5(proxy.address())), address.to_string()).await;
    assert_eq!(proxy.asked(), [server, address.to_string()]);
}

#[tokio::test]
async fn tls_is_spoken_with_the_server_behind_the_proxy() {
    let authority = Authority::new();
    let (address, _server) = listen_tls(server(), &authority.server()).await;
    let port = address.rsplit_once(':').unwrap().1;
    for (http, proxy) in [(true, ForwardProxy::http(None).await), (false, ForwardProxy::socks5(None).await)] {
        let set = if http { Proxy::http(proxy.address()) } else { Proxy::socks5(proxy.address()) };
        let builder = through(set).tls(authority.client());
        calls_and_streams(builder, format!("https://localhost:{port}")).await;
        assert_eq!(proxy.asked(), [format!("localhost:{port}")]);
    }
}

#[tokio::test]
async fn a_proxy_that_is_killed_ends_the_calls_honestly() {
    for http in [true, false] {
        let gate = Gate::new();
        let (address, _server) = listen(gate.register(server())).await;
        let (proxy, set) = if http {
            let proxy = ForwardProxy::http(None).await;
            let set = Proxy::http(proxy.address());
            (proxy, set)
        } else {
            let proxy = ForwardProxy::socks5(None).await;
            let set = Proxy::socks5(proxy.address());
            (proxy, set)
        };
        let client = within(through(set).connect(address)).await.unwrap();
        let calls: Vec<_> = (0..10)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move { client.call::<_, i64>("Gate.Pass", number).await })
            })
            .collect();
        for _ in 0..10 {
            gate.entered().await;
        }
        let at = proxy.address();
        proxy.kill().await;
        for call in calls {
            let error = within(call).await.unwrap().unwrap_err();
            assert_eq!(error.executed(), Executed::Maybe, "{error}");
        }
        // The client dials again, by the same way.
        let error = product(&client).await.unwrap_err();
        assert_eq!(error.executed(), Executed::No, "{error}");
        assert!(
            error.to_string().contains(&format!("proxy cannot be reached: cannot connect to {at}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_taken_over_goes_through_the_proxy_as_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("GET /attach HTTP/1.1\r\n"));
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello").await.unwrap();
    });
    let proxy = ForwardProxy::http(None).await;
    let request = http::Request::get("/attach").body(()).unwrap();
    let taken = within(through(Proxy::http(proxy.address())).hijack(address, request)).await.unwrap();
    let Hijacked { status, mut stream, .. } = taken;
    assert_eq!(status, http::StatusCode::SWITCHING_PROTOCOLS);
    let mut text = String::new();
    within(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!((text.as_str(), proxy.asked()), ("hello", vec![address.to_string()]));
}

#[tokio::test]
async fn a_connector_is_not_led_through_the_proxy() {
    let (server, lines) = (server().build().unwrap(), Lines::default());
    lines.serve(&server);
    let builder = through(Proxy::http("127.0.0.1:1"));
    let client = within(builder.connect_with(lines, "far:1")).await.unwrap();
    assert_eq!(product(&client).await.unwrap(), 56);
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_are_not_connected_to_through_the_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&file).unwrap();
    let server: Server = server().build().unwrap();
    tokio::spawn(std::future::IntoFuture::into_future(server.serve(listener)));
    let builder = through(Proxy::http("127.0.0.1:1"));
    let client = within(builder.connect(format!("unix:{}", file.display()))).await.unwrap();
    assert_eq!(product(&client).await.unwrap(), 56);
}
