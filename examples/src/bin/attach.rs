//! Runs a command of an `attach-server`'s as if it were here: a connection that is taken over from HTTP.
//!
//! ```console
//! $ attach-server &
//! 127.0.0.1:1235
//! $ echo hello | attach cat
//! hello
//! ```

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use examples::attach::{CHUNK, Kind, read_frame};
use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use lexopt::prelude::*;
use rpc_client::{Client, Hijacked, Stream};
use rpc_core::handshake::Refusal;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

const USAGE: &str = "\
Usage: attach [--server ADDR] COMMAND

Joins its standard streams to those of a command that runs on an attach-server, and exits as that does: with
128 and the number of the signal if it was killed. With 1 if there is no such command, or the connection is lost.

  --server ADDR  host:port, https://host:port or unix:/path [default: 127.0.0.1:1235]
  --help         this text
";

/// For the text of a refusal.
const TEXT_TIMEOUT: Duration = Duration::from_secs(5);

async fn attach(server: &str, command: &str) -> anyhow::Result<ExitCode> {
    let request = http::Request::post(format!("/attach?command={command}"))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "tcp")
        .body(())
        .with_context(|| format!("{command:?} is no name of a command"))?;
    let taken = Client::builder().hijack(server, request).await;
    // Its text holds that of its source, which would be printed once more.
    let Hijacked { status, stream, .. } = taken.map_err(anyhow::Error::msg)?;
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(server, status, stream).await);
    }
    let (from_server, to_server) = tokio::io::split(stream);
    // In a task of its own: it goes on while the output is not taken.
    let mut said = tokio::spawn(say(to_server));
    tokio::select! {
        heard = hear(from_server) => heard.with_context(|| format!("{command} on {server}")),
        Ok(Err(error)) = &mut said => Err(error).context("cannot read the standard input"),
    }
}

async fn refused(server: &str, status: StatusCode, stream: Stream) -> anyhow::Error {
    if status.is_success() {
        return anyhow!("{server} answered {status}, and not 101; is it an attach-server?");
    }
    let mut text = Vec::new();
    // Without it, the status says enough.
    let _ = timeout(TEXT_TIMEOUT, stream.take(4096).read_to_end(&mut text)).await;
    let mut refusal = Refusal::new(status, "");
    refusal.read_body(&text);
    anyhow!("{server} refused: {refusal}")
}

/// Sends what is typed. Its end closes this side of the connection alone.
async fn say(mut to_server: WriteHalf<Stream>) -> io::Result<()> {
    let (typed, mut chunks) = mpsc::channel(1);
    // A read of the terminal cannot be called back; a thread that is not the runtime's is not waited for.
    std::thread::spawn(move || {
        chunks_of(io::stdin().lock()).try_for_each(|chunk| typed.blocking_send(chunk))
    });
    while let Some(chunk) = chunks.recv().await {
        // The command is over, or the connection: which, `hear` tells.
        if to_server.write_all(&chunk?).await.is_err() {
            return Ok(());
        }
    }
    let _ = to_server.shutdown().await;
    Ok(())
}

fn chunks_of(mut input: impl Read) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    std::iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK];
        loop {
            match input.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => {
                    chunk.truncate(count);
                    return Some(Ok(chunk));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// Prints what comes, until the command has ended.
async fn hear(mut from_server: ReadHalf<Stream>) -> anyhow::Result<ExitCode> {
    let mut bytes = Vec::new();
    loop {
        let kind = read_frame(&mut from_server, &mut bytes).await;
        match kind.context("the connection was lost before the command had ended")? {
            Kind::Stdout => print(io::stdout(), &bytes)?,
            Kind::Stderr => print(io::stderr(), &bytes)?,
            Kind::Server => eprintln!("attach: {}", String::from_utf8_lossy(&bytes).escape_debug()),
            Kind::Exit => match bytes[..] {
                [status] => return Ok(status.into()),
                _ => bail!("an exit status has one byte, this one {}", bytes.len()),
            },
        }
    }
}

fn print(mut output: impl Write, bytes: &[u8]) -> anyhow::Result<()> {
    output.write_all(bytes).and_then(|()| output.flush()).context("cannot write the output")
}

struct Settings {
    server: String,
    command: String,
}

fn main() -> ExitCode {
    examples::run("attach", USAGE, settings(), async |Settings { server, command }| {
        attach(&server, &command).await
    })
}

fn settings() -> Result<Option<Settings>, lexopt::Error> {
    let (mut server, mut command) = ("127.0.0.1:1235".to_owned(), None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("server") => server = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(None),
            Value(value) if command.is_none() => command = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let command = command.ok_or("which COMMAND?")?;
    Ok(Some(Settings { server, command }))
}
