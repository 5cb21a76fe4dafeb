//! The programs `attach` and `attach-server`, as processes: what goes through them, and how both end.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What `attach-server` was started for; killed at the end of the test.
struct Started {
    child: Child,
    address: String,
}

impl Started {
    fn with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_attach-server"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim_end().to_owned() }
    }

    fn attach(&self, command: &str) -> Attached {
        Attached::new(&self.address, command)
    }

    fn asked_to_end(&self) {
        signal("TERM", self.child.id());
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An `attach`; killed at the end of the test.
struct Attached(Child);

impl Attached {
    fn new(address: &str, command: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_attach"))
            .args(["--server", address, command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn say(&mut self, text: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(text).unwrap();
    }

    /// Beside its standard input, which the test goes on with.
    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }

    /// Closes its standard input, if the test has not, and waits for its end.
    fn ended(&mut self) -> Output {
        drop(self.0.stdin.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let errors = self.0.stderr.as_mut().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| errors.read_to_end(&mut stderr).unwrap());
            if let Some(output) = &mut self.0.stdout {
                output.read_to_end(&mut stdout).unwrap();
            }
        });
        Output { status: ended(&mut self.0), stdout, stderr }
    }

    /// The same, when nothing is left to be printed, and the code and what it said of itself are told.
    fn failed(&mut self) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.ended();
        assert!(stdout.is_empty(), "{stdout:?}");
        (status.code(), String::from_utf8(stderr).unwrap())
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: &mut Child) -> std::process::ExitStatus {
    eventually("the process ends", || child.try_wait().unwrap())
}

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// A shell script, and what lets clients run it as `script`.
fn script(text: &str) -> (tempfile::TempPath, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.into_temp_path();
    let allow = format!("script=sh {}", path.display());
    (path, allow)
}

#[test]
fn what_is_said_to_cat_comes_back_and_ends() {
    let server = Started::with(&[]);
    let mut attached = server.attach("cat");
    attached.say(b"hello\n");
    let Output { status, stdout, stderr } = attached.ended();
    assert_eq!((status.code(), &*stdout, &*stderr), (Some(0), &b"hello\n"[..], &b""[..]));
}

#[test]
fn output_comes_while_the_input_is_open() {
    let server = Started::with(&[]);
    let mut attached = server.attach("cat");
    let mut output = attached.output();
    for text in ["one\n", "and another\n"] {
        attached.say(text.as_bytes());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, text);
    }
    assert_eq!(attached.ended().status.code(), Some(0));
}

#[test]
fn a_command_that_answers_after_the_end_of_its_input_is_heard() {
    let server = Started::with(&["sort", "count=wc -c"]);
    let mut attached = server.attach("sort");
    attached.say(b"b\nc\na\n");
    assert_eq!(attached.ended().stdout, b"a\nb\nc\n");
    let mut attached = server.attach("count");
    attached.say(&[7; 300_000]);
    assert_eq!(attached.ended().stdout.trim_ascii(), b"300000");
}

/// No two of its blocks are alike, so that none can be lost, doubled or misplaced.
fn block(number: u64, into: &mut [u8]) {
    for (word, place) in into.chunks_exact_mut(8).zip(0..) {
        let mixed = (number << 32 | place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word.copy_from_slice(&(mixed ^ mixed >> 29).to_le_bytes());
    }
}

#[test]
fn a_hundred_megabytes_come_back_as_they_went() {
    const BLOCK: usize = 100_000;
    const BLOCKS: u64 = 1000;
    let server = Started::with(&[]);
    let mut attached = server.attach("cat");
    let mut output = attached.output();
    let mut input = attached.0.stdin.take().unwrap();
    // Nobody but the programs holds what was sent and has not come: both directions go on at once, or neither.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut sent = vec![0; BLOCK];
            for number in 0..BLOCKS {
                block(number, &mut sent);
                input.write_all(&sent).unwrap();
            }
        });
        let (mut expected, mut got) = (vec![0; BLOCK], vec![0; BLOCK]);
        for number in 0..BLOCKS {
            block(number, &mut expected);
            output.read_exact(&mut got).unwrap();
            assert!(got == expected, "block {number}");
        }
    });
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
    assert_eq!(attached.ended().status.code(), Some(0));
}

#[test]
fn exit_status_and_standard_error_are_those_of_the_command() {
    let (_path, allow) = script("echo to whom it concerns >&2\necho out\nexit 7\n");
    let server = Started::with(&[&allow]);
    let Output { status, stdout, stderr } = server.attach("script").ended();
    assert_eq!((status.code(), &*stdout, &*stderr), (Some(7), &b"out\n"[..], &b"to whom it concerns\n"[..]));

    let (_path, allow) = script("kill -s KILL $$\n");
    let server = Started::with(&[&allow]);
    assert_eq!(server.attach("script").failed(), (Some(128 + 9), String::new()));
}

#[test]
fn a_command_that_takes_no_input_ends_all_the_same() {
    let server = Started::with(&["true"]);
    let mut attached = server.attach("true");
    let mut input = attached.0.stdin.take().unwrap();
    // Until nobody takes it any more.
    let flood = std::thread::spawn(move || while input.write_all(&[7; 100_000]).is_ok() {});
    assert_eq!(attached.ended().status.code(), Some(0));
    flood.join().unwrap();
}

#[test]
fn when_nothing_listens_the_error_names_address_and_cause() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, said) = Attached::new(&address, "cat").failed();
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("attach: cannot connect to {address}: ")), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
    assert!(said.ends_with("is the server running there?\n"), "{said}");
}

#[test]
fn a_command_that_is_not_allowed_is_refused_with_what_is() {
    let server = Started::with(&["cat", "count=wc -c"]);
    for name in ["rm", "wc", "cat/../rm", "", "count%20-l"] {
        let (code, said) = server.attach(name).failed();
        assert_eq!(code, Some(1), "{name}");
        let refused = format!(
            "attach: {} refused: 404 Not Found: there is no command {name:?}, but cat, count\n",
            server.address
        );
        assert_eq!(said, refused);
    }
    let (code, said) = server.attach("wc -c").failed();
    assert_eq!(code, Some(1));
    assert!(said.starts_with("attach: \"wc -c\" is no name of a command"), "{said}");
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let server = Started::with(&["gone=/nowhere/to/be found"]);
    let (code, said) = server.attach("gone").failed();
    assert_eq!(code, Some(1));
    assert!(said.contains("500 Internal Server Error: /nowhere/to/be found cannot be started: "), "{said}");
}

/// An answer to this request, of which all is sent at once.
fn answer(server: &Started, head: &str, behind: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(format!("{head}\r\n\r\n{behind}").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn what_came_with_the_head_is_input_whether_get_or_post() {
    let server = Started::with(&[]);
    let head = "/attach?command=sort HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: TCP";
    for method in ["GET", "POST"] {
        let answer = answer(&server, &format!("{method} {head}"), "b\na\n");
        let upgraded = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        let frames = answer.strip_prefix(upgraded).unwrap();
        let frames = std::iter::successors(split(frames), |(_, _, rest)| split(rest));
        let said = frames.map(|(kind, bytes, _)| (kind, bytes));
        // Those without bytes ask whether the client is there.
        let said: Vec<_> = said.filter(|(_, bytes)| !bytes.is_empty()).collect();
        assert_eq!(said, [(1, &b"a\nb\n"[..]), (4, &[0])], "{method}");
    }
}

/// A frame's kind and bytes, and what is behind it.
fn split(frames: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (header, rest) = frames.split_at_checked(8)?;
    let length = u32::from_be_bytes(header[4..].try_into().unwrap());
    let (bytes, rest) = rest.split_at(length as usize);
    Some((header[0], bytes, rest))
}

#[test]
fn requests_that_did_not_ask_for_raw_bytes_are_refused() {
    let server = Started::with(&[]);
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp";
    for (request, status) in [
        (format!("DELETE /attach?command=cat HTTP/1.1\r\nHost: a\r\n{upgrade}"), "405 Method Not Allowed"),
        ("GET /attach?command=cat HTTP/1.1\r\nHost: a".into(), "426 Upgrade Required"),
        ("GET /attach?command=cat HTTP/1.1\r\nHost: a\r\nUpgrade: tcp".into(), "426 Upgrade Required"),
        (format!("GET /attach?command=cat HTTP/1.0\r\n{upgrade}"), "426 Upgrade Required"),
        (
            format!("POST /attach?command=cat HTTP/1.1\r\nHost: a\r\n{upgrade}\r\nContent-Length: 4"),
            "400 Bad Request",
        ),
        (
            format!("GET /attach?command=cat HTTP/1.1\r\nHost: a\r\n{upgrade}\r\nOrigin: http://b"),
            "403 Forbidden",
        ),
    ] {
        let answer = String::from_utf8(answer(&server, &request, "text")).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.0 {status}\r\n")), "{request}\n{answer}");
    }
}

#[cfg(target_os = "linux")]
mod processes {
    use super::*;

    /// Tells its process id, then neither reads nor writes.
    const DOZE: &str = "echo $$\nexec sleep 600\n";

    fn process_of(attached: &mut Attached) -> (String, BufReader<ChildStdout>) {
        let mut output = attached.output();
        let mut process = String::new();
        output.read_line(&mut process).unwrap();
        (process.trim_end().to_owned(), output)
    }

    /// Also when its parent has not asked yet how it ended.
    fn is_gone(process: &str) -> bool {
        match std::fs::read_to_string(format!("/proc/{process}/stat")) {
            Ok(stat) => stat.rsplit_once(") ").unwrap().1.starts_with('Z'),
            Err(_) => true,
        }
    }

    #[test]
    fn a_client_that_is_killed_ends_its_command() {
        let (_path, allow) = script(DOZE);
        let server = Started::with(&[&allow]);
        let mut attached = server.attach("script");
        let (process, _output) = process_of(&mut attached);
        assert!(!is_gone(&process));
        attached.0.kill().unwrap();
        eventually("the command is gone", || is_gone(&process).then_some(()));
    }

    #[test]
    fn a_server_that_is_to_end_ends_commands_after_its_grace() {
        let (_path, allow) = script(DOZE);
        let mut server = Started::with(&["--grace", "1", &allow]);
        let mut attached = server.attach("script");
        let (process, _output) = process_of(&mut attached);
        server.asked_to_end();
        assert!(ended(&mut server.child).success());
        eventually("the command is gone", || is_gone(&process).then_some(()));
        let (code, said) = attached.failed();
        assert_eq!(code, Some(1));
        let (draining, lost) = said.split_once('\n').unwrap();
        assert!(draining.contains("the server is shutting down"), "{said}");
        assert!(lost.contains("the connection was lost before the command had ended"), "{said}");
    }

    #[test]
    fn both_sockets_are_probed_after_half_a_minute_of_silence() {
        let server = Started::with(&[]);
        let mut attached = server.attach("cat");
        let mut output = attached.output();
        attached.say(b"here\n");
        output.read_line(&mut String::new()).unwrap();
        let port = format!(":{:04X}", server.address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap());
        eventually("both have a timer for keep-alive", || {
            // Addresses, state, and after the queues the timer: 02 is that for keep-alive.
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let open = lines
                .filter(|line| line[3] == "01" && (line[1].ends_with(&port) || line[2].ends_with(&port)));
            // In hundredths of a second.
            let timers = open.filter_map(|line| u32::from_str_radix(line[5].strip_prefix("02:")?, 16).ok());
            (timers.filter(|left| *left <= 3000).count() == 2).then_some(())
        });
    }
}

#[test]
fn what_ends_within_the_grace_loses_nothing() {
    let mut server = Started::with(&["--grace", "60"]);
    let mut attached = server.attach("cat");
    let mut output = attached.output();
    attached.say(b"before\n");
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    server.asked_to_end();
    let mut told = String::new();
    BufReader::new(attached.0.stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("the server is shutting down"), "{told}");
    attached.say(b"after\n");
    drop(attached.0.stdin.take());
    output.read_to_string(&mut line).unwrap();
    assert_eq!(line, "before\nafter\n");
    assert_eq!(attached.ended().status.code(), Some(0));
    assert!(ended(&mut server.child).success());
}
