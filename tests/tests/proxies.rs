//! Clients behind forward proxies: what goes through, and what is told when nothing does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::process::Command;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use rpc_client::{Builder, Client, ConnectError, Error, Hijacked, Proxy, ProxyError, http};
use rpc_core::{Context, Executed, Status, Stream, Streaming, service};
use rpc_server::Server;
use tests::{Args, Authority, ForwardProxy, Gate, arith, listen, listen_tls, read_head, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

/// `ann:secret`, as Basic writes it.
const ANN: &str = "Basic YW5uOnNlY3JldA==";

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
    arith().register(NumbersServer::new(Counter))
}

async fn refused(builder: Builder, address: &str) -> (ProxyError, String) {
    let error = within(builder.connect(address)).await.unwrap_err();
    let text = error.to_string();
    match error {
        ConnectError::ForwardProxy { source, address: named } => {
            assert_eq!(named, address);
            (source, text)
        }
        other => panic!("{other:?}"),
    }
}

fn through(proxy: Proxy) -> Builder {
    Client::builder().proxy(proxy)
}

/// Says this to the first client that has said anything, and then nothing more.
async fn says(answer: &'static [u8], close: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 1000];
        let _ = stream.read(&mut some).await.unwrap();
        stream.write_all(answer).await.unwrap();
        if close {
            stream.shutdown().await.unwrap();
        }
        while let Ok(1..) = stream.read(&mut some).await {}
    });
    address
}

#[tokio::test]
async fn calls_and_streams_pass_an_http_proxy_which_resolves_the_name() {
    let (address, _server) = listen(server()).await;
    let proxy = ForwardProxy::http(None).await;
    let server = format!("far.example:{}", address.port());
    calls_and_streams(through(Proxy::http(proxy.address())), server.clone()).await;
    assert_eq!(proxy.asked(), [server]);
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
async fn a_proxy_gets_the_credentials_that_were_set_and_says_so_when_they_are_wrong_or_missing() {
    let (address, _server) = listen(server()).await;
    let address = address.to_string();
    let http = ForwardProxy::http(Some(ANN)).await;
    let socks = ForwardProxy::socks5(Some(("ann", "secret"))).await;
    for (proxy, at) in
        [(Proxy::http(http.address()), http.address()), (Proxy::socks5(socks.address()), socks.address())]
    {
        calls_and_streams(through(proxy.clone().credentials("ann", "secret")), address.clone()).await;
        let (error, text) = refused(through(proxy.clone().credentials("ann", "hunter2")), &address).await;
        assert!(matches!(error, ProxyError::Unauthorized { given: true, .. }), "{error:?}");
        let told = format!("cannot connect to {address}: the proxy {at} does not take these credentials");
        assert_eq!(text, format!("{told}; are they right?"));
        assert!(!format!("{error:?}").contains("hunter2"));
        let (error, text) = refused(through(proxy), &address).await;
        assert!(matches!(error, ProxyError::Unauthorized { given: false, .. }), "{error:?}");
        let told = format!("cannot connect to {address}: the proxy {at} wants credentials");
        assert_eq!(text, format!("{told}; give them with Proxy::credentials"));
    }
    assert_eq!((http.asked(), socks.asked()), (vec![address.clone()], vec![address]));
}

#[tokio::test]
async fn credentials_that_cannot_be_sent_are_told_and_none_are_shown() {
    let long = "x".repeat(300);
    for proxy in [
        Proxy::http("near:1").credentials("an:n", "hunter2"),
        Proxy::socks5("near:1").credentials(long.as_str(), "hunter2"),
        Proxy::http("near:1").credentials("ann", "hunter2".repeat(10_000)),
    ] {
        let shown = format!("{proxy:?} {:?}", through(proxy.clone()));
        let (error, text) = refused(through(proxy), "far:1").await;
        assert!(matches!(error, ProxyError::Credentials { .. }), "{error:?}");
        assert!(text.contains("the credentials for the proxy near:1 cannot be sent: "), "{text}");
        assert!(![shown, text, format!("{error:?}")].iter().any(|text| text.contains("hunter2")));
    }
    for address in ["near", "ann:hunter2@near:1", "http://near:1", "near:1/", ":1", ""] {
        let (error, text) = refused(through(Proxy::http(address)), "far:1").await;
        assert!(matches!(error, ProxyError::Address { .. }), "{error:?}");
        assert!(!text.contains("hunter2") && text.contains("is not of the form host:port"), "{text}");
        assert!(!format!("{:?}", Proxy::socks5(address)).contains("hunter2"));
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named_with_the_cause() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = socket.local_addr().unwrap();
    for proxy in [Proxy::http(nobody), Proxy::socks5(nobody)] {
        let (error, text) = refused(through(proxy), "far:1").await;
        assert!(matches!(error, ProxyError::Unreachable { .. }), "{error:?}");
        let start =
            format!("cannot connect to far:1: the proxy cannot be reached: cannot connect to {nobody}: ");
        assert!(text.starts_with(&start) && text.contains("refused"), "{text}");
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_with_is_told() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = socket.local_addr().unwrap().to_string();
    let proxy = ForwardProxy::http(None).await;
    let (error, text) = refused(through(Proxy::http(proxy.address())), &nobody).await;
    assert!(matches!(&error, ProxyError::Refused { source, .. } if source.status() == 502), "{error:?}");
    let told = format!("the proxy {} refused with 502 Bad Gateway", proxy.address());
    assert!(text.starts_with(&format!("cannot connect to {nobody}: {told}")), "{text}");
    assert!(text.ends_with("; does it reach the server?"), "{text}");

    let at = says(b"HTTP/1.0 403 Forbidden\r\n\r\nnot to that port\n", false).await;
    let (_, text) = refused(through(Proxy::http(&at)), "far:1").await;
    let told = format!("the proxy {at} refused with 403 Forbidden: not to that port");
    let asked = "does it let CONNECT through to this server and port?";
    assert_eq!(text, format!("cannot connect to far:1: {told}; {asked}"));

    let proxy = ForwardProxy::socks5(None).await;
    let (error, text) = refused(through(Proxy::socks5(proxy.address())), &nobody).await;
    assert!(matches!(error, ProxyError::Reply { reply: 5, .. }), "{error:?}");
    let told = format!("the proxy {} refused with SOCKS reply 5: the server refused", proxy.address());
    assert!(text.starts_with(&format!("cannot connect to {nobody}: {told}")), "{text}");
}

#[tokio::test]
async fn what_is_no_proxy_is_told_by_what_it_said() {
    for (proxy, answer, close) in [
        (Proxy::http as fn(String) -> Proxy, &b"SSH-2.0-OpenSSH_9.2\r\n"[..], false),
        (Proxy::http, b"\x15\x03\x03\x00\x02\x02\x16", false),
        (Proxy::http, b"HTTP/1.1 204 No Content\r\n\r\n", false),
        (Proxy::http, b"HTTP/1.1 20", false),
        (Proxy::socks5, b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
        (Proxy::socks5, b"\x05\x09", false),
        (Proxy::socks5, b"\x05", true),
        (Proxy::http, b"", true),
        (Proxy::http, b"HTTP/1.1 200 O", true),
    ] {
        let builder = through(proxy(says(answer, close).await)).dial_timeout(Duration::from_millis(200));
        let (error, text) = refused(builder, "far:1").await;
        let shown = format!("{:?}: {text}", answer.escape_ascii().to_string());
        match (error, close, answer) {
            (ProxyError::Closed { .. }, true, _) => {}
            (ProxyError::Timeout { .. }, false, b"HTTP/1.1 20") => {}
            (ProxyError::Malformed { reason, .. }, false, _) => assert!(!reason.is_empty(), "{shown}"),
            (other, ..) => panic!("{other:?} {shown}"),
        }
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_given_up_after_the_time_for_dialling() {
    for proxy in [Proxy::http as fn(String) -> Proxy, Proxy::socks5] {
        let at = says(b"", false).await;
        let builder = through(proxy(at.clone())).dial_timeout(Duration::from_millis(100));
        let (error, text) = refused(builder, "far:1").await;
        assert!(matches!(error, ProxyError::Timeout { .. }), "{error:?}");
        let told = format!("the proxy {at} took the connection, but did not open the way within 100ms");
        assert!(text.starts_with(&format!("cannot connect to far:1: {told}")), "{text}");
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

const VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// Runs the test below in a process of its own with these variables and no others of their kind.
async fn with_environment(variables: &[(&str, String)], server: String) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_call_with_the_proxies_of_the_environment", "--ignored"]);
    for name in VARIABLES {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.env_remove("REQUEST_METHOD").env("SERVER", server);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    within(tokio::task::spawn_blocking(move || command.output())).await.unwrap().unwrap().status.success()
}

#[tokio::test]
#[ignore = "run by the next, with an environment"]
async fn a_call_with_the_proxies_of_the_environment() {
    let server = std::env::var("SERVER").unwrap();
    let client = within(through(Proxy::from_env()).connect(server)).await.unwrap();
    assert_eq!(product(&client).await.unwrap(), 56);
}

#[tokio::test]
async fn the_environment_names_proxies_and_what_goes_without() {
    let (address, _server) = listen(server()).await;
    let (at, port) = (address.to_string(), address.port());
    let http = ForwardProxy::http(Some(ANN)).await;
    let socks = ForwardProxy::socks5(Some(("ann", "secret"))).await;
    let by_http = format!("http://ann:secret@{}", http.address());
    let by_socks = format!("socks5://ann:secret@{}", socks.address());
    let nowhere = "http://127.0.0.1:1".to_owned();
    for (variables, server, proxy) in [
        (vec![], at.clone(), None),
        (vec![("HTTP_PROXY", by_http.clone())], at.clone(), Some(&http)),
        (vec![("http_proxy", by_http.clone())], at.clone(), Some(&http)),
        (vec![("ALL_PROXY", by_socks.clone())], at.clone(), Some(&socks)),
        (vec![("all_proxy", by_socks.clone())], format!("far.example:{port}"), Some(&socks)),
        (vec![("ALL_PROXY", nowhere.clone()), ("HTTP_PROXY", by_http.clone())], at.clone(), Some(&http)),
        (vec![("HTTPS_PROXY", nowhere.clone())], at.clone(), None),
        (
            vec![("HTTP_PROXY", nowhere.clone()), ("NO_PROXY", "far.example, 127.0.0.0/8".into())],
            at.clone(),
            None,
        ),
        (vec![("HTTP_PROXY", nowhere.clone()), ("no_proxy", "*".into())], format!("localhost:{port}"), None),
        (vec![("HTTP_PROXY", by_http), ("NO_PROXY", "near.example".into())], at.clone(), Some(&http)),
    ] {
        let before = (http.asked().len(), socks.asked().len());
        assert!(with_environment(&variables, server.clone()).await, "{variables:?} {server}");
        let seen = (http.asked().len() - before.0, socks.asked().len() - before.1);
        let expected = match proxy {
            Some(proxy) => {
                (usize::from(std::ptr::eq(proxy, &http)), usize::from(std::ptr::eq(proxy, &socks)))
            }
            None => (0, 0),
        };
        assert_eq!(seen, expected, "{variables:?} {server}");
    }
    assert!(!with_environment(&[("HTTPS_PROXY", nowhere)], format!("https://{at}")).await);
    assert!(!with_environment(&[("HTTP_PROXY", "https://127.0.0.1:1".into())], at).await);
}
