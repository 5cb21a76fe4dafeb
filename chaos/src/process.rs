//! A server as a process of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::descriptors::Owner;
use crate::within;

/// A server that runs until it is killed or told to end; killed when this is dropped.
pub struct Process {
    child: Child,
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts this program in the role of a server (`server --listen ADDR`), in a network namespace if one is named, and
    /// waits until it listens.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn start(namespace: Option<&str>, listen: SocketAddr, journal: Option<&Path>) -> Result<Self> {
        Self::start_with(namespace, listen, journal.map(|journal| ("--journal", journal))).await
    }

    /// Starts one that speaks TLS, with the certificate and the key in this directory.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn start_tls(identity: &Path) -> Result<Self> {
        Self::start_with(None, (Ipv4Addr::LOCALHOST, 0).into(), Some(("--identity", identity))).await
    }

    async fn start_with(
        namespace: Option<&str>,
        listen: SocketAddr,
        option: Option<(&str, &Path)>,
    ) -> Result<Self> {
        let mut command = Self::command(namespace, "server")?;
        command.arg("--listen").arg(listen.to_string());
        if let Some((name, path)) = option {
            command.arg(name).arg(path);
        }
        Self::spawn(command).await
    }

    /// This program in some role, in a network namespace if one is named; nothing is started yet.
    ///
    /// # Errors
    /// When the program is gone.
    pub fn command(namespace: Option<&str>, role: &str) -> Result<Command> {
        let program = std::env::current_exe()?;
        let mut command = match namespace {
            // It becomes the program, so the child is the process itself.
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg(role);
        Ok(command)
    }

    /// Starts a program that says its address in the first line that it prints.
    ///
    /// # Errors
    /// When it cannot be started, or says none within 10 s.
    pub async fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a server")?;
        let pid = child.id().context("the server has no pid")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let address =
            within(10, "a server listens", lines.next_line()).await??.context("the server ended")?;
        let address = address.parse().with_context(|| format!("no address: {address}"))?;
        Ok(Self { address, child, pid, lines })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // Still a child that nobody has waited for, so the number is its own.
        kill(Pid::from_raw(i32::try_from(self.pid)?), signal).with_context(|| format!("cannot send {signal}"))
    }

    /// Whose descriptors are its own.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::Process(self.pid)
    }

    /// Waits for its end. The status, and what it said last.
    ///
    /// # Errors
    /// When it does not end within 40 s.
    pub async fn ended(mut self) -> Result<(ExitStatus, String)> {
        let last = within(40, "a server has ended", self.lines.next_line()).await??.unwrap_or_default();
        Ok((within(10, "a server has ended", self.child.wait()).await??, last))
    }
}
