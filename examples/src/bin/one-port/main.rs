//! One port, by TLS, for all that a service has: RPC, REST, health, metrics and the debug page, in an axum `Router`; and
//! an end that loses nothing. What to begin a service with; `docs/axum.md` goes through it.
//!
//! ```console
//! $ one-port --self-signed roots.pem
//! 127.0.0.1:8443
//! $ curl --cacert roots.pem https://localhost:8443/counter --json '{"add": 2}'
//! {"total":2}
//! $ curl --cacert roots.pem https://localhost:8443/metrics
//! ```

mod beside;
mod counter;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use lexopt::prelude::*;
use rpc_core::health::{HealthReporter, Serving};
use rpc_server::{Identity, Server};
use tokio::sync::oneshot;
use tokio::time::timeout;

use counter::{CountServer, Counter};
use tls::{Caller, TlsListener};

const USAGE: &str = "\
Usage: one-port [--listen ADDR] --cert FILE --key FILE
       one-port [--listen ADDR] --self-signed FILE

RPC at /_rpc_, REST at /counter, and /health, /metrics, /debug/rpc, all by TLS. The first line it prints is the
address it listens on. Ends in good order on Ctrl-C or SIGTERM.

  --listen ADDR       host:port, port 0 for a free one [default: 127.0.0.1:8443]
  --cert FILE         certificates in PEM, the server's first
  --key FILE          the private key in PEM
  --self-signed FILE  makes a certificate for localhost, and leaves it in FILE for clients to trust
  --help              this text
";

/// What calls and requests have left when the service is to end.
const GRACE: Duration = Duration::from_secs(30);

fn app(server: &Server, counter: Counter, health: HealthReporter) -> Router {
    Router::new()
        .route_service("/_rpc_", server.clone().into_service())
        .merge(counter::rest(counter))
        .merge(beside::routes(server, health))
        // RPC and the debug page want to know who asks.
        .layer(from_fn(tell_who_asks))
}

async fn tell_who_asks(
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(peer);
    next.run(request).await
}

async fn serve(Settings { listen, identity }: Settings) -> anyhow::Result<()> {
    let asked_to_end = examples::asked_to_end().context("cannot handle signals")?;
    let identity = identity.load()?;
    let (counter, health) = (Counter::default(), HealthReporter::new());
    let server = Server::builder()
        .register(CountServer::new(counter.clone()))
        .health(health.clone())
        // Also by GET with Upgrade, for proxies that do not let CONNECT through.
        .upgrade(true)
        .build()?;
    let app = app(&server, counter, health.clone()).into_make_service_with_connect_info::<Caller>();

    let listener = TlsListener::new(examples::announce(&listen).await?, identity)?;
    let (end, ends) = oneshot::channel::<()>();
    let http = axum::serve(listener, app).with_graceful_shutdown(async { drop(ends.await) });
    let mut http = tokio::spawn(http.into_future());
    tokio::select! {
        () = asked_to_end => {}
        ended = &mut http => return Ok(ended??),
    }

    // First whoever sends new calls here is told not to.
    health.set("", Serving::NotServing);
    // Then both at once: axum takes no more connections and answers what it has, on those that it sees; RPC connections it
    // does not see any more, and the server tells their clients to go elsewhere and waits for their calls.
    drop(end);
    let (report, answered) = tokio::join!(server.shutdown(GRACE), timeout(GRACE, http));
    let rest = if answered.is_ok() { "all requests answered" } else { "requests cut off" };
    eprintln!("one-port: ended: {} calls finished, {} cancelled, {rest}", report.finished, report.cancelled);
    Ok(())
}

struct Settings {
    listen: String,
    identity: Source,
}

/// Where the certificate comes from.
enum Source {
    Files { certificates: PathBuf, key: PathBuf },
    SelfSigned { roots: PathBuf },
}

impl Source {
    fn load(&self) -> anyhow::Result<Identity> {
        match self {
            Self::Files { certificates, key } => Ok(Identity::from_files(certificates, key)?),
            Self::SelfSigned { roots } => tls::self_signed(roots),
        }
    }
}

fn main() -> ExitCode {
    examples::run("one-port", USAGE, settings(), serve)
}

fn settings() -> Result<Option<Settings>, lexopt::Error> {
    let mut listen = "127.0.0.1:8443".to_owned();
    let (mut cert, mut key, mut self_signed) = (None, None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = parser.value()?.string()?,
            Long("cert") => cert = Some(parser.value()?.into()),
            Long("key") => key = Some(parser.value()?.into()),
            Long("self-signed") => self_signed = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    let identity = match (cert, key, self_signed) {
        (Some(certificates), Some(key), None) => Source::Files { certificates, key },
        (None, None, Some(roots)) => Source::SelfSigned { roots },
        _ => return Err("expected --cert and --key, or --self-signed".into()),
    };
    Ok(Some(Settings { listen, identity }))
}
