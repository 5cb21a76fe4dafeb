//! What a program with a server and a client in it does at its edges.

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::process::{ExitCode, Termination};

use anyhow::Context;
use lexopt::prelude::*;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Listens on an address, and prints as the program's first line which one that is.
///
/// # Errors
/// When the address is not to be had.
pub async fn announce(listen: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    Ok(listener)
}

/// The address after `--listen`, 127.0.0.1:1234 if there is none; `None` when help is asked for. For programs that take nothing
/// else.
///
/// # Errors
/// What cannot be understood on the command line.
pub fn listen_address() -> Result<Option<String>, lexopt::Error> {
    let mut listen = "127.0.0.1:1234".to_owned();
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(listen))
}

/// Ends when the program is asked to end: by Ctrl-C, and SIGTERM where there is one. Neither kills it from here on.
///
/// # Errors
/// When signals cannot be handled.
pub fn asked_to_end() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Runs what the command line asked for; `None`: for help. What goes wrong is printed, and told by the exit code.
pub fn run<T, F, R>(
    name: &str,
    usage: &str,
    command: Result<Option<T>, lexopt::Error>,
    run: impl FnOnce(T) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<R>>,
    R: Termination,
{
    let command = match command {
        Ok(Some(command)) => command,
        Ok(None) => {
            print!("{usage}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("{name}: {error}\n\n{usage}");
            return ExitCode::from(2);
        }
    };
    let ran = Runtime::new().context("cannot start").and_then(|runtime| runtime.block_on(run(command)));
    match ran {
        Ok(ended) => ended.report(),
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
