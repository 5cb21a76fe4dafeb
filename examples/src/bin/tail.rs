//! Follows a file that grows, from other machines: a method that answers with a stream without end.

use std::io::{self, SeekFrom, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::stream;
use lexopt::prelude::*;
use rpc_client::Client;
use rpc_core::{Context, Status, Stream};
use rpc_server::Server;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader};

const USAGE: &str = "\
Usage: tail serve FILE [--listen ADDR]
       tail follow ADDR [--lines N]

`serve` gives the lines of FILE to all who ask. The first line it prints is the address it listens on.
`follow` prints them: those that are there, then each one as it comes.

  --listen ADDR  host:port, port 0 for a free one [default: 127.0.0.1:0]
  --lines N      only the last N of the lines that are there [default: all]
  --help         this text
";

/// How often a file is looked at when nothing more was in it. The kernel could tell (inotify), but on Linux alone, not for
/// files on other machines, and through one more crate; this works for every file.
const PAUSE: Duration = Duration::from_millis(100);

/// Longer lines come in pieces: no file can make the server hold more of it.
const LONGEST: usize = 64 * 1024;

#[rpc_core::service]
trait Tail {
    /// The lines of the file, or the last of them, and then each one as it comes.
    async fn lines(
        &self,
        cx: &Context,
        last: Option<u64>,
    ) -> Result<impl Stream<Item = Result<String, Status>>, Status>;
}

struct Served {
    file: PathBuf,
}

impl Tail for Served {
    async fn lines(
        &self,
        _cx: &Context,
        last: Option<u64>,
    ) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
        let mut file = File::open(&self.file).await?;
        let start = match last {
            Some(lines) => start_of_last(&mut file, lines).await?,
            None => 0,
        };
        file.seek(SeekFrom::Start(start)).await?;
        // Each client reads at its own pace; the stream, and the file with it, is dropped when the client has gone.
        let followed = Followed { file: BufReader::new(file), position: start, line: Vec::new() };
        Ok(stream::try_unfold(followed, async |mut followed| Ok(Some((followed.next().await?, followed)))))
    }
}

struct Followed {
    file: BufReader<File>,
    position: u64,
    line: Vec<u8>,
}

impl Followed {
    async fn next(&mut self) -> io::Result<String> {
        loop {
            let room = (LONGEST - self.line.len()) as u64;
            let read = (&mut self.file).take(room).read_until(b'\n', &mut self.line).await?;
            self.position += read as u64;
            let is_whole = self.line.ends_with(b"\n");
            if is_whole || self.line.len() == LONGEST {
                let line = String::from_utf8_lossy(&self.line[..self.line.len() - usize::from(is_whole)])
                    .into_owned();
                self.line.clear();
                return Ok(line);
            }
            if read == 0 {
                tokio::time::sleep(PAUSE).await;
                if self.file.get_ref().metadata().await?.len() < self.position {
                    // It was emptied, and is written anew.
                    self.position = self.file.seek(SeekFrom::Start(0)).await?;
                    self.line.clear();
                }
            }
        }
    }
}

/// Where the last whole lines of a file begin.
async fn start_of_last(file: &mut File, mut lines: u64) -> io::Result<u64> {
    let mut block = [0; 8192];
    let mut end = file.seek(SeekFrom::End(0)).await?;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start)).await?;
        file.read_exact(block).await?;
        for at in (0..block.len()).rev().filter(|at| block[*at] == b'\n') {
            if lines == 0 {
                return Ok(start + at as u64 + 1);
            }
            lines -= 1;
        }
        end = start;
    }
    Ok(0)
}

enum Command {
    Serve { file: PathBuf, listen: String },
    Follow { server: String, last: Option<u64> },
}

fn main() -> ExitCode {
    examples::run("tail", USAGE, command(), async |command| match command {
        Command::Serve { file, listen } => {
            let listener = examples::announce(&listen).await?;
            Server::builder().register(TailServer::new(Served { file })).serve(listener).await?;
            Ok(())
        }
        Command::Follow { server, last } => follow(&server, last).await,
    })
}

async fn follow(server: &str, last: Option<u64>) -> anyhow::Result<()> {
    let mut lines = TailClient::new(Client::connect(server).await?).lines(last).await?;
    while let Some(line) = lines.try_next().await? {
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(())
}

fn command() -> Result<Option<Command>, lexopt::Error> {
    let (mut words, mut listen, mut last) = (Vec::new(), "127.0.0.1:0".to_owned(), None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = parser.value()?.string()?,
            Long("lines") => last = Some(parser.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            Value(value) => words.push(value),
            other => return Err(other.unexpected()),
        }
    }
    match &words[..] {
        [what, file] if what == "serve" => Ok(Some(Command::Serve { file: file.into(), listen })),
        [what, server] if what == "follow" => {
            Ok(Some(Command::Follow { server: server.clone().string()?, last }))
        }
        _ => Err("expected `serve FILE` or `follow ADDR`".into()),
    }
}
