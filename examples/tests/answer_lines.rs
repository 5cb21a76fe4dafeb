//! `answer_lines` where a process would not show it: servers with little room, outputs that fail.

use std::io::{self, Write};

use examples::{ArithServer, Calculator, Tally, answer_lines};
use rpc_client::Client;
use rpc_server::{Builder, Server};
use tokio::io::BufReader;

async fn client(builder: Builder) -> Client {
    let server = builder.register(ArithServer::new(Calculator)).build().expect("a well-built server");
    let (near, far) = tokio::io::duplex(4096);
    tokio::spawn(async move { server.serve_connection(far).await });
    Client::new(near).await.expect("a handshake")
}

#[tokio::test]
async fn a_server_that_takes_one_call_at_a_time_answers_all_lines() {
    let client = client(Server::builder().concurrency_limit_per_connection(1)).await;
    let (input, expected): (String, String) =
        (0..1000).map(|n| (format!("{n} * 2\n"), format!("{}\n", n * 2))).unzip();
    let (mut answers, mut progress) = (Vec::new(), Vec::new());
    let input_read = BufReader::with_capacity(64, input.as_bytes());
    let tally = answer_lines(&client, input_read, &mut answers, |bytes| progress.push(bytes)).await.unwrap();
    assert_eq!(tally, Tally { lines: 1000, failed: 0 });
    assert!(answers == expected.as_bytes());
    assert!(progress.is_sorted() && progress.last() <= Some(&(input.len() as u64)));
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_output_that_fails_ends_it() {
    let client = client(Server::builder()).await;
    let input = "7 * 8\n".repeat(1000);
    let error = answer_lines(&client, input.as_bytes(), Full, |_| ()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot write the answers");
}
