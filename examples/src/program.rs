//! What a program with a server and a client in it does at its edges.

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
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

/// Runs what the command line asked for; `None`: for help. What goes wrong is printed, and told by the exit code.
pub fn run<T, F>(
    name: &str,
    usage: &str,
    command: Result<Option<T>, lexopt::Error>,
    run: impl FnOnce(T) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
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
        Ok(()) => ExitCode::SUCCESS,
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
