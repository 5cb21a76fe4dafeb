//! The programs as their users run them: as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Far longer than anything here takes: what is not over by then hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A running `arith-server`. It is killed when dropped.
pub(crate) struct ArithServer {
    child: Option<Child>,
    pub(crate) address: String,
}

impl ArithServer {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_arith-server"))
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("arith-server starts");
        let mut address = String::new();
        let stdout = child.stdout.as_mut().expect("a piped stdout");
        BufReader::new(stdout).read_line(&mut address).expect("its address");
        Self { child: Some(child), address: address.trim_end().to_owned() }
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> Output {
        let child = self.child.take().expect("it runs");
        assert!(signal("TERM", &child.id().to_string()).expect("a shell").success());
        finish(child)
    }
}

impl Drop for ArithServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Through the shell, whose own `kill` is there also where no program of that name is.
fn signal(name: &str, pid: &str) -> std::io::Result<ExitStatus> {
    Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name, pid]).status()
}

/// Waits for the end of a process, which is killed if it does not come.
pub(crate) fn finish(mut child: Child) -> Output {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdout = stdout.map(drain);
    let stderr = stderr.map(drain);
    let (done, is_done) = mpsc::channel();
    let pid = child.id().to_string();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        let _ = done.send(());
        status
    });
    if is_done.recv_timeout(LIMIT).is_err() {
        // Not reaped yet, so the id is still the child's.
        let _ = signal("KILL", &pid);
        panic!("process {pid} does not end");
    }
    let status = waiter.join().expect("no panic").expect("a status");
    let collect = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        reader.map(|reader| reader.join().expect("no panic")).unwrap_or_default()
    };
    Output { status, stdout: collect(stdout), stderr: collect(stderr) }
}

fn drain(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        all
    })
}

/// An `arith-client` with pipes at all ends.
pub(crate) fn spawn_client(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_arith-client"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("arith-client starts")
}

/// Runs `arith-client` on an input; the exit code, standard output and standard error.
pub(crate) fn run_client(args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = spawn_client(args);
    let mut stdin = child.stdin.take().expect("a piped stdin");
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || {
        // A client that failed reads no more.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = finish(child);
    feeder.join().expect("no panic");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}
