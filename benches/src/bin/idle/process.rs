//! The server's and the client's process.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

/// What one phase may take; then it is stuck.
const LONGEST: Duration = Duration::from_secs(120);

/// A child that is ended with its handle.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program: this one again, as a rule.
    pub(crate) fn start(program: PathBuf, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{} cannot be run", program.display()))?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (to_lines, lines) = channel();
        // A thread, because reading a pipe knows no time limit. It ends with the child.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| to_lines.send(line)));
        Ok(Self { child, input, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Result<String> {
        self.lines.recv_timeout(LONGEST).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow!("the process is stuck: nothing from it in {LONGEST:?}"),
            RecvTimeoutError::Disconnected => anyhow!("the process has ended too early"),
        })
    }

    /// Tells it to go on.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        Ok(writeln!(self.input)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It keeps nothing that has to be put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the child: shows each line of the input to `line`, and ends the process with its input, which
/// is to say with its parent.
pub(crate) fn end_with_input(mut line: impl FnMut(String) + Send + 'static) {
    thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).for_each(&mut line);
        std::process::exit(0);
    });
}
