//! Sends files to a server, which tells what it got: a method that takes a stream.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::prelude::*;
use rpc_client::Client;
use rpc_core::{Context, SendError, Status, Streaming};
use rpc_server::Server;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const USAGE: &str = "\
Usage: upload serve [DIRECTORY] [--listen ADDR]
       upload send ADDR FILE

`serve` takes files, and keeps them if there is a DIRECTORY. The first line it prints is the address it
listens on. `send` prints the SHA-256 and the size of what the server got.

  --listen ADDR  host:port, port 0 for a free one [default: 127.0.0.1:0]
  --help         this text
";

const CHUNK: usize = 64 * 1024;

/// What the server got.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    sha256: String,
    size: u64,
}

#[rpc_core::service]
trait Upload {
    /// Takes a file. `Bytes` cross the wire in one piece, a `Vec<u8>` would byte by byte.
    #[rpc(spawn)]
    async fn put(&self, cx: &Context, name: String, chunks: Streaming<Bytes>) -> Result<Receipt, Status>;
}

struct Store {
    directory: Option<PathBuf>,
}

impl Upload for Store {
    async fn put(
        &self,
        _cx: &Context,
        name: String,
        mut chunks: Streaming<Bytes>,
    ) -> Result<Receipt, Status> {
        let mut part = match &self.directory {
            Some(directory) => Some(Part::create(directory, &name).await?),
            None => None,
        };
        let (mut hash, mut size) = (Sha256::new(), 0);
        // Ends with an error if the client goes before its file has ended, and `part` goes with it.
        while let Some(chunk) = chunks.try_next().await? {
            hash.update(&chunk);
            size += chunk.len() as u64;
            if let Some(part) = &mut part {
                part.file.write_all(&chunk).await?;
            }
        }
        if let Some(part) = part {
            part.file.sync_all().await?;
            tokio::fs::rename(&part.path, &part.whole).await?;
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Receipt { sha256, size })
    }
}

/// A file that is not whole yet. It goes when it is dropped before it is.
struct Part {
    file: File,
    path: PathBuf,
    whole: PathBuf,
}

impl Part {
    async fn create(directory: &Path, name: &str) -> Result<Self, Status> {
        // Not `../secret`, nor any other path out of the directory.
        if Path::new(name).file_name().is_none_or(|file| file != name) {
            return Err(Status::invalid_argument(format!("{name:?} is no name of a file")));
        }
        let path = directory.join(format!("{name}.part"));
        // Who comes second with one name is told so, while the first is at it.
        let file = File::create_new(&path).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Status::already_exists(format!(
                "{name} is on its way; if nobody sends it, a server was killed meanwhile: remove {name}.part"
            )),
            _ => Status::unknown(format!("{}: {error}", path.display())),
        })?;
        Ok(Self { file, path, whole: directory.join(name) })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing is there if it became whole.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn send(server: &str, path: &Path) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read {}", path.display());
    let mut file = File::open(path).await.with_context(cannot_read)?;
    let size = file.metadata().await.with_context(cannot_read)?.len();
    let name = path.file_name().with_context(cannot_read)?.to_string_lossy().into_owned();

    let client = UploadClient::new(Client::connect(server).await?);
    let (mut chunks, receipt) = client.put(name).await?;
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")?;
    // Shown on a terminal alone.
    let bar = ProgressBar::new(size).with_style(style);
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while file.read_buf(&mut buffer).await.with_context(cannot_read)? > 0 {
        let chunk = buffer.split().freeze();
        bar.inc(chunk.len() as u64);
        match chunks.send(chunk).await {
            Ok(()) => buffer.reserve(CHUNK),
            // The server wants no more of it. Why, its answer tells.
            Err(SendError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    chunks.finish();
    bar.finish_and_clear();
    let Receipt { sha256, size } = receipt.await?;
    writeln!(io::stdout(), "{sha256}  {size} bytes")?;
    Ok(())
}

enum Command {
    Serve { directory: Option<PathBuf>, listen: String },
    Send { server: String, file: PathBuf },
}

fn main() -> ExitCode {
    examples::run("upload", USAGE, command(), async |command| match command {
        Command::Serve { directory, listen } => {
            let listener = examples::announce(&listen).await?;
            Server::builder().register(UploadServer::new(Store { directory })).serve(listener).await?;
            Ok(())
        }
        Command::Send { server, file } => send(&server, &file).await,
    })
}

fn command() -> Result<Option<Command>, lexopt::Error> {
    let (mut words, mut listen) = (Vec::new(), "127.0.0.1:0".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(None),
            Value(value) => words.push(value),
            other => return Err(other.unexpected()),
        }
    }
    match &words[..] {
        [what, directory @ ..] if what == "serve" && directory.len() < 2 => {
            Ok(Some(Command::Serve { directory: directory.first().map(PathBuf::from), listen }))
        }
        [what, server, file] if what == "send" => {
            Ok(Some(Command::Send { server: server.clone().string()?, file: file.into() }))
        }
        _ => Err("expected `serve [DIRECTORY]` or `send ADDR FILE`".into()),
    }
}
