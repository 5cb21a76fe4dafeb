//! Runs commands for `attach`: a route that takes its connection over, as `docker attach` does.
//!
//! Who asks chooses one of the commands on this server's command line, and nothing else of it. There is no
//! authentication here; `Builder::authorize` is where it would be, and `Serve::tls` for other networks.
//!
//! The command gets an end of its input when the client closes its side, while output still arrives. It is killed
//! when the client goes away, and when this server's grace is over; what it has started itself is not.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::pin::pin;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use examples::attach::{CHUNK, Kind, write_frame};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version};
use lexopt::prelude::*;
use rpc_core::handshake::Refusal;
use rpc_server::{Hijacked, Reply, Request, Server, TcpOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadHalf};
use tokio::process::{Child, ChildStdin, Command};

const USAGE: &str = "\
Usage: attach-server [--listen ADDR] [--grace SECONDS] [NAME[=PROGRAM ARGS]]...

Runs the named programs, and no others, for whoever connects with `attach`: 64 at a time. The first line it prints
is the address it listens on. A NAME alone is a program of that name; arguments are separated by spaces.

  --listen ADDR    host:port, port 0 for a free one [default: 127.0.0.1:1235]
  --grace SECONDS  what commands have left when the server is to end [default: 10]
  --help           this text

Without names: cat sort wc
";

const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

const DRAINING: &[u8] = b"the server is shutting down; the command may go on for its grace";

/// A client that has closed its side may have gone for good. It is asked so often: only what is written to it tells.
const ASK: Duration = Duration::from_secs(2);

/// Programs with their arguments, by the names under which clients ask for them.
type Allowed = BTreeMap<String, Vec<String>>;

fn attach(allowed: &Allowed, request: &Request) -> Result<Reply, Refusal> {
    check(&request.head)?;
    let query = request.head.uri.query().unwrap_or_default();
    let name = query.strip_prefix("command=").unwrap_or_default().to_owned();
    let Some(words) = allowed.get(&name).cloned() else {
        let names = allowed.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Refusal::not_found(format!("there is no command {name:?}, but {names}")));
    };
    let peer = request.peer.clone();
    Ok(Reply::hijack(async move |taken| {
        if let Err(error) = run(&words, taken).await {
            eprintln!("attach-server: {name} for {peer}: {error}");
        }
    }))
}

/// Nobody is surprised by raw bytes who did not ask for them.
fn check(head: &Parts) -> Result<(), Refusal> {
    if ![Method::GET, Method::POST].contains(&head.method) {
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "attach with GET or POST");
        return Err(refusal.with_header(ALLOW, HeaderValue::from_static("GET, POST")));
    }
    if head.version < Version::HTTP_11 || !says(head, &CONNECTION, "upgrade") || !says(head, &UPGRADE, "tcp")
    {
        let refusal =
            Refusal::new(StatusCode::UPGRADE_REQUIRED, "attach with Connection: Upgrade, Upgrade: tcp");
        return Err(refusal.with_header(UPGRADE, HeaderValue::from_static("tcp")));
    }
    let has_length = head.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_length || head.headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::bad_request(
            "the input comes behind the head as it is, not as the body of the request",
        ));
    }
    Ok(())
}

fn says(head: &Parts, name: &HeaderName, word: &str) -> bool {
    let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
}

async fn run(words: &[String], mut taken: Hijacked) -> io::Result<()> {
    match start(words) {
        Ok(mut child) => {
            let ended = join(&mut child, taken).await;
            // None that has ended by itself. Where this future is dropped, the child kills itself, too.
            child.kill().await.and(ended)
        }
        Err(error) => {
            let text = format!("{} cannot be started: {error}", words.join(" "));
            let mut refusal = Vec::new();
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text).write(false, &mut refusal);
            taken.stream.write_all(&refusal).await?;
            taken.stream.finish().await
        }
    }
}

fn start(words: &[String]) -> io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        // The server's own environment is nobody's business.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Carries bytes both ways until the command has ended, or the client is gone.
async fn join(child: &mut Child, taken: Hijacked) -> io::Result<()> {
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        unreachable!("they are piped");
    };
    let mut draining = pin!(taken.draining());
    let mut stream = taken.stream;
    stream.write_all(UPGRADED).await?;
    let (mut from_client, mut to_client) = tokio::io::split(stream);

    let ended = async move { Ok((Kind::Exit, Bytes::from(vec![exit_byte(child.wait().await?)]))) };
    let output = stream::select(frames(Kind::Stdout, stdout), frames(Kind::Stderr, stderr));
    let mut output = pin!(output.chain(stream::once(ended)));
    let (mut ask, mut told) = (tokio::time::interval(ASK), false);
    let say = async {
        loop {
            let (kind, bytes) = tokio::select! {
                frame = output.try_next() => match frame? {
                    Some(frame) => frame,
                    None => return Ok::<_, io::Error>(()),
                },
                _ = ask.tick() => (Kind::Stdout, Bytes::new()),
                () = &mut draining, if !told => {
                    told = true;
                    (Kind::Server, Bytes::from_static(DRAINING))
                }
            };
            write_frame(&mut to_client, kind, &bytes).await?;
        }
    };
    tokio::select! {
        said = say => said?,
        // The end of the input ends nothing else.
        Err(error) = feed(&mut from_client, stdin) => return Err(error),
    }
    from_client.unsplit(to_client).finish().await
}

fn frames(kind: Kind, output: impl AsyncRead + Unpin) -> impl Stream<Item = io::Result<(Kind, Bytes)>> {
    stream::try_unfold(output, move |mut output| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let count = (&mut output).take(CHUNK as u64).read_buf(&mut chunk).await?;
        Ok((count > 0).then(|| ((kind, chunk.freeze()), output)))
    })
}

/// Gives the command its input, then the end of it. What it does not take is thrown away.
async fn feed(from_client: &mut ReadHalf<rpc_server::Stream>, stdin: ChildStdin) -> io::Result<()> {
    let (mut stdin, mut chunk) = (Some(stdin), vec![0; CHUNK]);
    loop {
        let count = from_client.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        if let Some(pipe) = &mut stdin
            && pipe.write_all(&chunk[..count]).await.is_err()
        {
            stdin = None;
        }
    }
}

fn exit_byte(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let code = status.code().or_else(|| Some(128 + std::os::unix::process::ExitStatusExt::signal(&status)?));
    #[cfg(not(unix))]
    let code = status.code();
    code.and_then(|code| code.try_into().ok()).unwrap_or(u8::MAX)
}

struct Settings {
    listen: String,
    grace: Duration,
    allowed: Allowed,
}

async fn serve(Settings { listen, grace, allowed }: Settings) -> anyhow::Result<()> {
    let asked_to_end = examples::asked_to_end().context("cannot handle signals")?;
    let listener = examples::announce(&listen).await?;
    let mut tcp = TcpOptions::default();
    tcp.keepalive = Some(Duration::from_secs(30));
    Server::builder()
        .tcp(tcp)
        .max_connections(64)
        .grace(grace)
        .route("/attach", move |request| ready(attach(&allowed, &request)))
        .serve(listener)
        .with_graceful_shutdown(asked_to_end)
        .await?;
    Ok(())
}

fn main() -> ExitCode {
    examples::run("attach-server", USAGE, settings(), serve)
}

fn settings() -> Result<Option<Settings>, lexopt::Error> {
    let (mut listen, mut grace) = ("127.0.0.1:1235".to_owned(), Duration::from_secs(10));
    let mut allowed = Allowed::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = parser.value()?.string()?,
            Long("grace") => grace = Duration::from_secs(parser.value()?.parse::<u32>()?.into()),
            Short('h') | Long("help") => return Ok(None),
            Value(value) => allowed.extend([command(&value.string()?)?]),
            other => return Err(other.unexpected()),
        }
    }
    if allowed.is_empty() {
        allowed = ["cat", "sort", "wc"].map(|name| (name.to_owned(), vec![name.to_owned()])).into();
    }
    Ok(Some(Settings { listen, grace, allowed }))
}

fn command(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, words) = text.split_once('=').unwrap_or((text, text));
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
    if name.is_empty() || !name.chars().all(is_name) || words.is_empty() {
        return Err(format!("{text:?} is no NAME=PROGRAM; a name has letters, digits, and `._-`"));
    }
    Ok((name.to_owned(), words))
}
