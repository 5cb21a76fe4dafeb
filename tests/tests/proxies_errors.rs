//! Forward proxies that do not open the way: each reason is its own error, which names the proxy, and no credentials.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_client::{Builder, Client, ConnectError, Proxy, ProxyError};
use tests::{Args, ForwardProxy, arith, listen, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

/// `ann:secret`, as Basic writes it.
const ANN: &str = "Basic YW5uOnNlY3JldA==";

fn through(proxy: Proxy) -> Builder {
    Client::builder().proxy(proxy)
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
async fn a_proxy_gets_the_credentials_that_were_set_and_says_so_when_they_are_wrong_or_missing() {
    let (address, _server) = listen(arith()).await;
    let address = address.to_string();
    let http = ForwardProxy::http(Some(ANN)).await;
    let socks = ForwardProxy::socks5(Some(("ann", "secret"))).await;
    for (proxy, at) in
        [(Proxy::http(http.address()), http.address()), (Proxy::socks5(socks.address()), socks.address())]
    {
        let client =
            within(through(proxy.clone().credentials("ann", "secret")).connect(&address)).await.unwrap();
        let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
        assert_eq!(product, 56);
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
