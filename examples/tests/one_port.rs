//! The program `one-port`, as a process: all that it has on its port, by TLS, and its end.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use rpc_client::{Builder, Client, ClientTls, Entry, Hijacked, Roots, Stream};
use rpc_core::health::Serving;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Killed at the end of the test.
struct Service {
    child: Child,
    address: String,
    roots: Roots,
}

impl Service {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let roots = directory.path().join("roots.pem");
        let mut child = Command::new(env!("CARGO_BIN_EXE_one-port"))
            .args(["--listen", "127.0.0.1:0", "--self-signed"])
            .arg(&roots)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        Self {
            child,
            address: format!("https://{}", address.trim_end()),
            roots: Roots::from_file(roots).unwrap(),
        }
    }

    fn builder(&self) -> Builder {
        Client::builder().tls(ClientTls::new().roots(self.roots.clone()))
    }

    async fn client(&self) -> Client {
        within(self.builder().connect(&self.address)).await.unwrap()
    }

    /// An ordinary connection, after one request on it.
    async fn http(&self, path: &str) -> (Http, StatusCode, String) {
        let request = Request::get(path).body(()).unwrap();
        let answer = within(self.builder().hijack(&self.address, request)).await.unwrap();
        let Hijacked { status, headers, mut stream, .. } = answer;
        let length = headers["content-length"].to_str().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        within(stream.read_exact(&mut body)).await.unwrap();
        (Http(stream), status, String::from_utf8(body).unwrap())
    }

    async fn answers(&self, path: &str) -> (StatusCode, String) {
        let (_, status, body) = self.http(path).await;
        (status, body)
    }

    fn asked_to_end(&self) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &process]).status().unwrap().success());
    }

    /// What it says at its end, which is a good one.
    fn ended(mut self) -> String {
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection of HTTP/1.1 that is kept alive.
struct Http(Stream);

impl Http {
    async fn say(&mut self, text: &str) {
        within(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// The next answer: its head in lower case, and its body.
    async fn answer(&mut self) -> (String, String) {
        let head = self.head().await.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        within(self.0.read_exact(&mut body)).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("it ends within a minute")
}

async fn eventually(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !seen().await {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn post(body: &str, more: &str) -> String {
    let length = body.len();
    format!(
        "POST /counter HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn rest_and_rpc_are_two_ways_to_one_thing() {
    let service = Service::start();
    let (mut http, status, body) = service.http("/counter").await;
    assert_eq!((status, &*body), (StatusCode::OK, r#"{"total":0}"#));

    let client = service.client().await;
    assert_eq!(within(client.call::<_, u64>("Counter.Add", 2u32)).await.unwrap(), 2);
    // On the connection of the GET, which is kept alive.
    for total in [5, 8] {
        let body = r#"{"add": 3}"#;
        http.say(&(post(body, "") + body)).await;
        let (head, body) = http.answer().await;
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        assert_eq!(body, format!(r#"{{"total":{total}}}"#));
    }
    assert_eq!(within(client.call::<_, u64>("Counter.Reach", 8u64)).await.unwrap(), 8);

    http.say(&(post("{}", "") + "{}")).await;
    let (head, body) = http.answer().await;
    assert!(head.starts_with("http/1.1 422 "), "{head}");
    assert!(body.contains("missing field `add`"), "{body}");
}

#[tokio::test]
async fn every_way_in_leads_to_the_same_server() {
    let service = Service::start();
    let ways = [service.builder(), service.builder().entry(Entry::Upgrade), service.builder().http2(true)];
    for (builder, total) in ways.into_iter().zip(1..) {
        let client = within(builder.connect(&service.address)).await.unwrap();
        assert_eq!(within(client.call::<_, u64>("Counter.Add", 1u32)).await.unwrap(), total);
    }
    let (status, body) = service.answers("/_rpc_").await;
    assert_eq!((status, &*body), (StatusCode::METHOD_NOT_ALLOWED, "405 must CONNECT\n"));
}

#[tokio::test]
async fn operators_see_health_metrics_and_the_debug_page() {
    let service = Service::start();
    assert_eq!(service.answers("/health").await, (StatusCode::OK, "serving\n".into()));
    let client = service.client().await;
    let serving: Serving = within(client.call("Health.Check", "")).await.unwrap();
    assert_eq!(serving, Serving::Serving);

    for n in 1..=3u32 {
        within(client.call::<_, u64>("Counter.Add", n)).await.unwrap();
    }
    let (status, metrics) = service.answers("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "# TYPE rpc_calls_total counter",
        r#"rpc_calls_total{method="Add",service="Counter"} 3"#,
        r#"rpc_errors_total{method="Add",service="Counter"} 0"#,
        r#"rpc_in_flight{method="Reach",service="Counter"} 0"#,
        "rpc_connections 1",
    ] {
        assert!(metrics.lines().any(|seen| seen == line), "{line}\n{metrics}");
    }

    let (status, page) = service.answers("/debug/rpc").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("Service Counter") && page.contains("<td>Add(u32, u64) error</td><td>3</td>"),
        "{page}"
    );
}

#[tokio::test]
async fn what_is_in_flight_when_it_is_to_end_is_answered() {
    const CALLS: usize = 20;
    let service = Service::start();
    let (mut http, ..) = service.http("/counter").await;
    let (mut idle, ..) = service.http("/health").await;
    let client = service.client().await;
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<_, u64>("Counter.Reach", 7u64).await })
        })
        .collect();
    // What they wait for is not here: it is asked for, and the server waits for the rest of it.
    let body = r#"{"add": 7}"#;
    http.say(&post(body, "Expect: 100-continue\r\n")).await;
    assert!(http.head().await.starts_with("HTTP/1.1 100 "));
    let waiting = format!(r#"rpc_in_flight{{method="Reach",service="Counter"}} {CALLS}"#);
    eventually("all calls are in flight", async || {
        service.answers("/metrics").await.1.lines().any(|line| line == waiting)
    })
    .await;

    service.asked_to_end();
    // It has begun to: what nothing is asked on is closed.
    assert_eq!(within(idle.0.read(&mut [0])).await.unwrap_or(0), 0);
    eventually("nobody gets in any more", async || {
        service.builder().connect(&service.address).await.is_err()
    })
    .await;

    http.say(body).await;
    let (head, body) = http.answer().await;
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert_eq!(body, r#"{"total":7}"#);
    for call in calls {
        assert_eq!(within(call).await.unwrap().unwrap(), 7);
    }
    drop(client);
    let said = service.ended();
    assert!(said.contains("20 calls finished, 0 cancelled, all requests answered"), "{said}");
}
