//! A server and a client in one process, with real TCP between them.

use std::fmt::Write as _;
use std::io::stdout;
use std::time::Instant;

use anyhow::ensure;
use examples::{ArithServer, Calculator, Tally, answer_lines};
use rpc_client::Client;
use rpc_server::Server;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The last two fail on purpose: errors stand beside the lines that they belong to.
const READABLE: &str = "\
7 * 8
17 / 5
-7 * 6
1 / 0
9223372036854775807 * 2
";

const CALLS: i64 = 200_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().register(ArithServer::new(Calculator)).serve(listener);
    let server = server.with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let client = Client::connect(&address).await?;
    println!("{}:", READABLE.trim().replace('\n', ", "));
    let tally = answer_lines(&client, READABLE.as_bytes(), stdout().lock(), |_| ()).await?;
    ensure!(tally == Tally { lines: 5, failed: 2 }, "unexpected answers: {tally:?}");

    let (input, expected) = many(CALLS)?;
    let mut answers = Vec::with_capacity(expected.len());
    let begun = Instant::now();
    let tally = answer_lines(&client, input.as_bytes(), &mut answers, |_| ()).await?;
    let took = begun.elapsed();
    ensure!(tally.failed == 0 && answers == expected.as_bytes(), "wrong answers among {tally:?}");
    let per_second = tally.lines as f64 / took.as_secs_f64();
    println!("{} calls on one connection in {took:.2?}: {per_second:.0} calls/s, all right", tally.lines);

    client.close().await?;
    drop(stop);
    server.await??;
    Ok(())
}

/// Lines, and what they have to be answered with.
fn many(calls: i64) -> Result<(String, String), std::fmt::Error> {
    let (mut input, mut expected) = (String::new(), String::new());
    for n in 0..calls {
        if n % 2 == 0 {
            writeln!(input, "{n} * 3")?;
            writeln!(expected, "{}", n * 3)?;
        } else {
            writeln!(input, "{n} / 7")?;
            writeln!(expected, "{} remainder {}", n / 7, n % 7)?;
        }
    }
    Ok((input, expected))
}
