//! Programs that go on, and are talked with.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use crate::process::{finish, text};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A running program. It is killed when dropped.
pub(crate) struct Running {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("a piped stdout");
        // A thread, because reading a pipe knows no time limit. What is not asked for is not read, but for a buffer.
        let (line, lines) = sync_channel(0);
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|read| line.send(read))
        });
        Self { stdin: child.stdin.take(), child: Some(child), lines }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line comes")
    }

    /// Gives it a line to read.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("an open stdin"), "{line}").expect("it reads");
    }

    /// Ends its input, and waits for its end: the exit code, what it printed since, and standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        drop(self.stdin.take());
        let output = finish(self.child.take().expect("it runs"));
        (output.status.code(), self.lines.iter().collect(), text(output.stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
