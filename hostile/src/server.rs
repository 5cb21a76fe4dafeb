//! The server under attack: what `arith-server` serves, and methods that attacks need.

use std::future::pending;
use std::io::Write;
use std::net::SocketAddr;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use examples::{ArithServer, Calculator};
use futures_util::stream;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rpc_core::{Context, Execution, Method, Service, Status, Streaming};
use rpc_server::Server;
use tokio::net::TcpListener;

/// Serves until it is killed, with the settings that a server has when none are set. The first line it prints is its
/// address.
pub(crate) async fn serve(listen: SocketAddr) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    quieten();
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let mut output = std::io::stdout();
    writeln!(output, "{}", listener.local_addr()?)?;
    output.flush()?;
    serve_at(listener).await
}

/// The same, in whatever process.
pub(crate) async fn serve_at(listener: TcpListener) -> Result<()> {
    let server = Server::builder().register(ArithServer::new(Calculator)).register(service());
    server.debug_page_at("/debug/rpc").serve(listener).await?;
    Ok(())
}

const ALWAYS: &str = "a handler that always does";

/// No word of the panics that an attack asks for.
fn quieten() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&ALWAYS) {
            loud(info);
        }
    }));
}

/// Handlers that run now, and the most that ever did.
#[derive(Default)]
struct Live {
    now: AtomicU64,
    most: AtomicU64,
}

struct Lives(Arc<Live>);

impl Lives {
    fn begin(live: &Arc<Live>) -> Self {
        let now = live.now.fetch_add(1, Ordering::Relaxed) + 1;
        live.most.fetch_max(now, Ordering::Relaxed);
        Self(live.clone())
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

fn service() -> Service {
    let live = Arc::<Live>::default();
    let counted = live.clone();
    let hold = move |_: Context, (): ()| {
        let lives = Lives::begin(&counted);
        async move {
            let _lives = lives;
            pending::<Result<(), Status>>().await
        }
    };
    // Handlers of `Hold` and `Unread` that run, and the most that did.
    let counted = live.clone();
    let lives = move |_: Context, (): ()| {
        let both = (live.now.load(Ordering::Relaxed), live.most.load(Ordering::Relaxed));
        async move { Ok::<_, Status>(both) }
    };
    let unread = move |_: Context, (): (), items: Streaming<Bytes>| {
        let lives = Lives::begin(&counted);
        async move {
            let _held = (lives, items);
            pending::<Result<(), Status>>().await
        }
    };
    let answer = |_: Context, size: u32| async move { Ok::<_, Status>(Bytes::from(vec![7; size as usize])) };
    let panics = |_: Context, (): ()| async move { panicking() };
    let blocks = |_: Context, ms: u64| async move {
        thread::sleep(Duration::from_millis(ms));
        Ok::<_, Status>(())
    };
    let repeat = |_: Context, size: u32| async move {
        let item = Bytes::from(vec![7; size as usize]);
        Ok::<_, Status>(stream::repeat_with(move || Ok::<_, Status>(item.clone())))
    };
    let count = |_: Context, (): (), mut items: Streaming<Bytes>| async move {
        let mut count = 0u64;
        while let Some(item) = items.next().await {
            count += u64::from(item.is_ok());
            item?;
        }
        Ok::<_, Status>(count)
    };
    let decode = |_: Context, text: Vec<String>| async move { Ok::<_, Status>(text.len() as u64) };
    let units = |_: Context, units: Vec<()>| async move { Ok::<_, Status>(units.len() as u64) };
    let nested = |_: Context, nested: Nested| async move { Ok::<_, Status>(nested.depth()) };
    let empties = |_: Context, (): (), mut items: Streaming<()>| async move {
        let mut count = 0u64;
        while let Some(item) = items.next().await {
            item?;
            count += 1;
        }
        Ok::<_, Status>(count)
    };
    Service::new("Hostile")
        .with(Method::client_stream("Empties", empties))
        .with(Method::new("Hold", hold))
        .with(Method::new("Live", lives))
        .with(Method::new("Answer", answer))
        .with(Method::new("Panics", panics))
        .with(Method::new("Blocks", blocks))
        .with(Method::new("BlocksThread", blocks).execution(Execution::Blocking))
        .with(Method::new("Strings", decode))
        .with(Method::new("Units", units))
        .with(Method::new("Nested", nested))
        .with(Method::server_stream("Repeat", repeat))
        .with(Method::client_stream("Unread", unread))
        .with(Method::client_stream("Count", count))
}

fn panicking() -> Result<(), Status> {
    panic::panic_any(ALWAYS)
}

/// A type that nests as deep as its body likes.
#[derive(serde::Deserialize)]
struct Nested(Vec<Nested>);

impl Nested {
    fn depth(&self) -> u64 {
        1 + self.0.iter().map(Nested::depth).max().unwrap_or_default()
    }
}
