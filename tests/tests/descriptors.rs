//! A server that has used up its file descriptors, in a process of its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rpc_client::Client;
use rpc_core::Peer;
use rpc_server::Listener;
use tests::{Args, Raw, arith, read_head, within};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const NAME: &str = "a_server_out_of_descriptors_serves_on_and_accepts_again_when_some_are_free";

/// Set where this program is to be the server.
const SERVES: &str = "RPC_TEST_SERVES";

const EMFILE: i32 = 24;

/// Says so when it is out of descriptors.
struct Telling(TcpListener);

impl Listener for Telling {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let accepted = Listener::accept(&mut self.0).await;
        if accepted.as_ref().is_err_and(|error| error.raw_os_error() == Some(EMFILE)) {
            tell("out of descriptors");
        }
        accepted
    }
}

fn tell(line: &str) {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "\ntold: {line}").and_then(|()| stdout.flush()).unwrap();
}

async fn serve() {
    // Ends with the test, whatever becomes of it.
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell(&listener.local_addr().unwrap().to_string());
    arith().serve(Telling(listener)).await.unwrap();
}

struct Process {
    child: Child,
    told: UnboundedReceiver<String>,
}

impl Process {
    /// This test in a process that may have so many descriptors.
    fn start(descriptors: u32) -> Self {
        let run = format!("ulimit -n {descriptors} && exec \"$0\" --exact {NAME} --nocapture");
        let mut child = Command::new("sh")
            .args(["-c", &run])
            .arg(std::env::current_exe().unwrap())
            .env(SERVES, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = unbounded_channel();
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            let told = lines.filter_map(|line| line.strip_prefix("told: ").map(str::to_owned));
            let _ = { told }.try_for_each(|line| tell.send(line));
        });
        Self { child, told }
    }

    async fn tells(&mut self) -> String {
        within(self.told.recv()).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_server_out_of_descriptors_serves_on_and_accepts_again_when_some_are_free() {
    if std::env::var_os(SERVES).is_some() {
        return serve().await;
    }
    let mut process = Process::start(40);
    let address: SocketAddr = process.tells().await.parse().unwrap();
    let client = within(Client::connect(address)).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..60 {
        let mut raw = Raw::dial(address).await;
        raw.say(b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n").await;
        others.push(raw);
    }
    assert_eq!(process.tells().await, "out of descriptors");
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
    let mut last = others.split_off(50);
    drop(others);
    for raw in &mut last {
        let head = read_head(&mut raw.0).await;
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
    }
}
