//! Serves `Arith` until Ctrl-C or SIGTERM.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use examples::{ArithServer, Calculator};
use rpc_core::health::{HealthReporter, Serving};
use rpc_server::Server;
use tokio::net::TcpListener;

const USAGE: &str = "\
Usage: arith-server [--listen ADDR]

Serves Arith.Multiply and Arith.Divide. The first line it prints is the address it listens on.

  --listen ADDR  host:port, port 0 for a free one [default: 127.0.0.1:1234]
  --help         this text
";

#[tokio::main]
async fn main() -> ExitCode {
    let listen = match examples::listen_address() {
        Ok(Some(address)) => address,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("arith-server: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arith-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(listen: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let health = HealthReporter::new();
    health.set("Arith", Serving::Serving);
    // Handled from here on, so that whoever reads the address may send a signal at once.
    let mut signals = Signals::new()?;

    let mut stdout = std::io::stdout();
    writeln!(stdout, "{address}")?;
    stdout.flush()?;
    eprintln!("methods and counts: http://{address}/debug/rpc");

    let report = Server::builder()
        .register(ArithServer::new(Calculator))
        .health(health.clone())
        .debug_page_at("/debug/rpc")
        .serve(listener)
        .with_graceful_shutdown(async move {
            signals.next().await;
            eprintln!("ending: calls in flight may finish; once more to end at once");
            health.set("Arith", Serving::NotServing);
            health.set("", Serving::NotServing);
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(130);
            });
        })
        .await?;
    eprintln!(
        "ended: {} connections, {} calls finished, {} cancelled",
        report.connections, report.finished, report.cancelled
    );
    Ok(())
}

/// Ctrl-C, and SIGTERM where there is one.
struct Signals {
    #[cfg(unix)]
    term: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
