//! A process that is talked to in lines, pinned and counted as asked.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// What counts system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tracer {
    /// Tracepoints: hardly any effect on what is counted.
    Perf,
    /// Stops the process at every call, which changes how calls fall together.
    Strace,
}

impl Tracer {
    /// The one that works here.
    ///
    /// # Errors
    /// When neither does.
    pub fn find() -> Result<Self> {
        let works = |program: &str, arguments: &[&str]| {
            let status =
                Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if works("perf", &["stat", "-e", "raw_syscalls:sys_enter", "true"]) {
            return Ok(Self::Perf);
        }
        ensure!(
            works("strace", &["-c", "true"]),
            "system calls are counted with perf or strace; neither works here"
        );
        Ok(Self::Strace)
    }

    fn command(self) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            Self::Perf => ("perf", &["stat", "-x,", "-e", "raw_syscalls:sys_enter", "--"]),
            Self::Strace => ("strace", &["-f", "-c", "-U", "calls,name", "--"]),
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    /// The count in the report that was left on the standard error output.
    fn count(self, report: &str) -> Option<u64> {
        let mark = match self {
            Self::Perf => "raw_syscalls:sys_enter",
            Self::Strace => "total",
        };
        let line = report.lines().rfind(|line| line.contains(mark))?;
        line.split([',', ' ']).find(|word| !word.is_empty())?.parse().ok()
    }
}

/// A child that is ended with its handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    tracer: Option<Tracer>,
}

impl Process {
    /// Starts a program, on that CPU alone if one is named.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        cpu: Option<usize>,
        tracer: Option<Tracer>,
    ) -> Result<Self> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(cpu) = cpu {
            words.extend(["taskset".into(), "-c".into(), cpu.to_string().into()]);
        }
        words.push(program.into());
        let mut command = match tracer {
            Some(tracer) => {
                let mut command = tracer.command();
                command.args(&words);
                command
            }
            None => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
        };
        let stderr = if tracer.is_some() { Stdio::piped() } else { Stdio::inherit() };
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().with_context(|| format!("{} cannot be run", words[0].display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no output")?);
        Ok(Self { child, input, output: BufReader::new(output), tracer })
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// When it has ended.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the process has ended too early");
        line.pop();
        Ok(line)
    }

    /// Sends it a line, and returns the one it answers with.
    ///
    /// # Errors
    /// When it has ended.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.input.as_mut().context("no input")?, "{line}")?;
        self.line()
    }

    /// Closes its input and waits for its end; the system calls it made, if they were counted.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn end(mut self) -> Result<Option<u64>> {
        self.input = None;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() && began.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(2));
        }
        ensure!(
            self.child.try_wait()?.is_some_and(|status| status.success()),
            "the process did not end well"
        );
        let Some(tracer) = self.tracer else { return Ok(None) };
        let mut report = String::new();
        self.child.stderr.take().context("no report")?.read_to_string(&mut report)?;
        Ok(Some(tracer.count(&report).with_context(|| format!("no count in: {report}"))?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
