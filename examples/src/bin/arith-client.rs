//! Answers lines such as `7 * 8` through a server.

use std::io::{BufWriter, ErrorKind, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use examples::{Tally, answer_lines};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::prelude::*;
use rpc_client::Client;
use tokio::fs::File;
use tokio::io::{AsyncRead, BufReader};
use tokio::runtime::Runtime;

const USAGE: &str = "\
Usage: arith-client ADDR [FILE]

Reads lines such as `7 * 8` and `17 / 5` from FILE or standard input and prints their answers in
the same order. Blank lines and lines that start with # are skipped.

  ADDR    the server, host:port
  --help  this text
";

/// A shorter input is over before anybody looks at a progress bar.
const LONG_INPUT: u64 = 4 << 20;

const CHUNK: usize = 256 * 1024;

struct Args {
    server: String,
    file: Option<String>,
}

fn main() -> ExitCode {
    let args = match parse_args() {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("arith-client: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let answered = Runtime::new().context("cannot start").and_then(|runtime| {
        let answered = runtime.block_on(answer(&args));
        // A read of the terminal cannot be called back: do not wait for one more line.
        runtime.shutdown_background();
        answered
    });
    match answered {
        Ok(Tally { failed: 0, .. }) => ExitCode::SUCCESS,
        Ok(Tally { lines, failed }) => {
            eprintln!("arith-client: {failed} of {lines} lines failed");
            ExitCode::FAILURE
        }
        // Whoever read the answers has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arith-client: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn answer(Args { server, file }: &Args) -> anyhow::Result<Tally> {
    let (input, bar) = open(file.as_deref()).await?;
    // Its text names the cause already, so the cause is not printed behind it once more.
    // The server's end is this program's end: who reads the answers is to know.
    let client = Client::builder().reconnect(false).connect(server).await;
    let client = client.map_err(|error| anyhow::anyhow!("{error}"))?;
    let input = BufReader::with_capacity(CHUNK, input);
    let output = BufWriter::new(std::io::stdout().lock());
    let tally = answer_lines(&client, input, output, |bytes| bar.set_position(bytes)).await;
    bar.finish_and_clear();
    let tally = tally?;
    // It may be gone by now, and nothing is in flight any more.
    let _ = client.close().await;
    Ok(tally)
}

async fn open(file: Option<&str>) -> anyhow::Result<(Box<dyn AsyncRead + Unpin>, ProgressBar)> {
    let Some(name) = file.filter(|name| *name != "-") else {
        return Ok((Box::new(tokio::io::stdin()), ProgressBar::hidden()));
    };
    let file = File::open(name).await.with_context(|| format!("cannot open {name}"))?;
    let size = file.metadata().await.with_context(|| format!("cannot open {name}"))?.len();
    let is_seen = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let bar = if size >= LONG_INPUT && is_seen {
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")?;
        ProgressBar::new(size).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    Ok((Box::new(file), bar))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn parse_args() -> Result<Option<Args>, lexopt::Error> {
    let (mut server, mut file) = (None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Value(value) if server.is_none() => server = Some(value.string()?),
            Value(value) if file.is_none() => file = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let server = server.ok_or("the server's ADDR is missing")?;
    Ok(Some(Args { server, file }))
}
