//! `hostile conform`: the vectors of the crate `conformance`, played over TCP to a server or a client that is a process
//! of its own, ours or somebody else's.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chaos::within;
use conformance::{Driver, Role, Setup, Slices, VECTORS, Vector, drive, play_client, play_server, read_all};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

const USAGE: &str = "\
Usage: hostile conform [--server ADDR [--small ADDR] [--aging ADDR]] [--client COMMAND ARG..]

Plays the vectors of conformance/vectors to a server, and to a client, each twice: whole and byte by byte. Without
arguments to ours. conformance/README.md says what they have to offer.

Exits with 0 when every vector passed, 1 when one did not, 2 when asked wrongly.
";

/// A vector that hangs has failed; what it waits is added.
const LIMIT: Duration = Duration::from_secs(60);

/// What was named on the command line.
#[derive(Default)]
struct Asked {
    server: Option<SocketAddr>,
    small: Option<SocketAddr>,
    aging: Option<SocketAddr>,
    client: Vec<OsString>,
}

/// Does what the command line asks for; `None` if that is something else.
pub(crate) fn main() -> Option<ExitCode> {
    let mut args = env::args_os().skip(1);
    let word = args.next()?;
    let rest = args.collect::<Vec<_>>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let done = match word.to_str()? {
        // What this program starts itself as.
        "conform-server" => runtime.block_on(serve()).map(|()| true),
        "conform-client" => runtime.block_on(call(&rest)).map(|()| true),
        "conform" => match parse(rest) {
            Ok(asked) => runtime.block_on(conform(asked)),
            Err(error) => {
                eprint!("hostile: {error:#}\n\n{USAGE}");
                return Some(ExitCode::from(2));
            }
        },
        _ => return None,
    };
    // What reads the standard input cannot be told to end.
    runtime.shutdown_background();
    Some(match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hostile: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn parse(args: Vec<OsString>) -> Result<Asked> {
    use lexopt::prelude::*;
    let mut asked = Asked::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("server") => asked.server = Some(parser.value()?.parse()?),
            Long("small") => asked.small = Some(parser.value()?.parse()?),
            Long("aging") => asked.aging = Some(parser.value()?.parse()?),
            Long("client") => {
                asked.client.push(parser.value()?);
                asked.client.extend(parser.raw_args()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(asked)
}

/// Whether all passed.
async fn conform(mut asked: Asked) -> Result<bool> {
    let vectors = read_all(VECTORS)?;
    let named = asked.server.or(asked.small).or(asked.aging).is_some() || !asked.client.is_empty();
    let mut _ours = None;
    if !named {
        let program = env::current_exe()?;
        let (child, addresses) = start_server(&program).await?;
        _ours = Some(child);
        let [server, small, aging] = addresses;
        (asked.server, asked.small, asked.aging) = (Some(server), Some(small), Some(aging));
        asked.client = vec![program.into(), "conform-client".into()];
    }
    let (began, mut passed, mut failed, mut skipped) = (Instant::now(), 0, 0, 0);
    for vector in &vectors {
        let address = match vector.setup {
            Setup::Default => asked.server,
            Setup::Small => asked.small,
            Setup::Aging => asked.aging,
        };
        let is_there = match vector.role {
            Role::Server => address.is_some(),
            Role::Client => !asked.client.is_empty(),
        };
        if !is_there {
            skipped += 1;
            continue;
        }
        for slices in [Slices::Whole, Slices::Bytes] {
            let playing = async {
                match (vector.role, address) {
                    (Role::Server, Some(address)) => play_server(vector, dial(address).await?, slices).await,
                    (Role::Server, None) => Ok(()),
                    (Role::Client, _) => to_client(vector, &asked.client, slices).await,
                }
            };
            let failure = match tokio::time::timeout(LIMIT + vector.waits(), playing).await {
                Ok(Ok(())) => {
                    passed += 1;
                    continue;
                }
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => format!("{}:{}: {}: it hangs", vector.file, vector.line, vector.name),
            };
            failed += 1;
            println!("{failure} ({slices:?})");
            // It would fail again.
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{passed} passed, {failed} failed, {skipped} of {} vectors skipped, {took:.1} s", vectors.len());
    Ok(failed == 0 && passed > 0)
}

async fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens at {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Starts a client that is told what to do over its standard input, and plays a vector to it.
async fn to_client(vector: &Vector, command: &[OsString], slices: Slices) -> Result<()> {
    let [program, args @ ..] = command else { bail!("no COMMAND") };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut command = Command::new(program);
    command.args(args).arg(listener.local_addr()?.to_string()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("the client cannot be started")?;
    let mut input = child.stdin.take().context("no standard input")?;
    let mut output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    let (mut driver, mut commands, tells) = Driver::pair();
    let mut lines = JoinSet::new();
    lines.spawn(async move {
        while let Some(command) = commands.recv().await {
            if input.write_all(format!("{command}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    });
    lines.spawn(async move {
        while let Ok(Some(line)) = output.next_line().await {
            let _ = tells.send(line);
        }
    });
    let accept = async {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    play_client(vector, accept, &mut driver, slices).await?;
    // Its input ends.
    drop(driver);
    let ended = within(10, "the client ends with its input", child.wait()).await??;
    ensure!(
        ended.success(),
        "{}:{}: {}: the client ended with {ended}",
        vector.file,
        vector.line,
        vector.name
    );
    Ok(())
}

/// Our server as a process, and where it listens in each setup.
async fn start_server(program: &std::path::Path) -> Result<(Child, [SocketAddr; 3])> {
    let mut command = Command::new(program);
    // Its panics are asked for.
    command.arg("conform-server").stderr(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("the server cannot be started")?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    let mut addresses = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)); 3];
    for address in &mut addresses {
        let line = within(10, "a server listens", lines.next_line()).await??.context("the server ended")?;
        *address = line.parse().with_context(|| format!("no address: {line}"))?;
    }
    Ok((child, addresses))
}

/// Serves in each setup until it is killed, and prints where.
async fn serve() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut servers = JoinSet::new();
    for setup in [Setup::Default, Setup::Small, Setup::Aging] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let server = conformance::server(setup)?;
        servers.spawn(async move { server.serve(listener).await });
    }
    std::io::stdout().flush()?;
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Our client, which is told what to do line by line.
async fn call(args: &[OsString]) -> Result<()> {
    let address = args.first().and_then(|address| address.to_str()).context("no address")?;
    let (commands, commanded) = unbounded_channel();
    let (tell, mut tells) = unbounded_channel::<String>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_ok_and(|line| commands.send(line).is_err()) {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(line) = tells.recv().await {
            println!("{line}");
        }
    });
    drive(|builder| builder.connect(address), commanded, tell).await
}
