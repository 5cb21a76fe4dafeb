//! The server's role.

use std::future::pending;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rpc_core::{Context, Status};
use rpc_server::{Builder, Identity, Report, Server, ServerTls};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::journal::Journal;

/// How long a silent peer is left alone in these trials, and how long it may take to answer.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// The files of an identity.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

/// One call in so many waits, so that some are in flight whenever the server drains.
const LINGERING: u64 = 16;
const LINGER: Duration = Duration::from_millis(3);

/// Serves until SIGTERM. The first line it prints is its address, the last one what became of the calls
/// that it ended with.
pub(crate) async fn serve(listen: SocketAddr, journal: Option<&Path>, identity: Option<&Path>) -> Result<()> {
    let journal = journal.map(Journal::create).transpose()?.map(Arc::new);
    let report = until_told(listen, services(journal.clone()), identity).await?;
    if let Some(journal) = journal {
        journal.flush()?;
    }
    say(&format!("{} {}", report.finished, report.cancelled))
}

/// Says the address in a line, and serves until SIGTERM.
pub(crate) async fn until_told(
    listen: SocketAddr,
    builder: Builder,
    identity: Option<&Path>,
) -> Result<Report> {
    // Whatever ends the one that started it, be it a SIGKILL, nothing stays behind.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let builder = builder.ping_interval(PING_INTERVAL).ping_timeout(PING_TIMEOUT);
    let mut term = signal(SignalKind::terminate())?;
    say(&address.to_string())?;
    let signal = async move { _ = term.recv().await };
    let mut serve = builder.serve(listener).with_graceful_shutdown(signal);
    if let Some(directory) = identity {
        let identity = Identity::from_files(directory.join(CERTIFICATE), directory.join(KEY))?;
        serve = serve.tls(ServerTls::new(identity)?);
    }
    Ok(serve.await?)
}

fn services(journal: Option<Arc<Journal>>) -> Builder {
    let (entered, left) = (Count::default(), Count::default());
    let (held, dropped) = (entered.clone(), left.clone());
    let hold = move |_: Context, _: u64| {
        let (entered, leaving) = (entered.clone(), Leaving(left.clone()));
        async move {
            let _leaving = leaving;
            entered.add(1);
            pending::<Result<u64, Status>>().await
        }
    };
    let append = move |_: Context, number: u64| {
        let journal = journal.clone();
        async move {
            let journal = journal.as_deref().ok_or_else(|| Status::unknown("there is no journal"))?;
            journal.append(number)?;
            if number.is_multiple_of(LINGERING) {
                tokio::time::sleep(LINGER).await;
            }
            Ok::<_, Status>(number)
        }
    };
    Server::builder()
        .register_fn("Chaos.Echo", |_: Context, number: u64| async move { Ok::<_, Status>(number) })
        .register_fn("Chaos.Hold", hold)
        // Until so many more are held.
        .register_fn("Chaos.Held", move |_: Context, more: u64| held.clone().take(more))
        // Until so many more were given up.
        .register_fn("Chaos.Dropped", move |_: Context, more: u64| dropped.clone().take(more))
        .register_fn("Chaos.Append", append)
}

/// What has happened and was not waited for.
#[derive(Clone, Default)]
struct Count(Arc<watch::Sender<u64>>);

impl Count {
    fn add(&self, more: u64) {
        self.0.send_modify(|count| *count += more);
    }

    async fn take(self, more: u64) -> Result<u64, Status> {
        self.0.subscribe().wait_for(|count| *count >= more).await?;
        self.0.send_modify(|count| *count -= more);
        Ok(more)
    }
}

/// Counts handlers that are dropped.
struct Leaving(Count);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.add(1);
    }
}

pub(crate) fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
