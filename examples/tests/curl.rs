//! What the doc comment of the example `handles` says that curl prints is what curl prints.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const SOURCE: &str = include_str!("../examples/handles.rs");

/// The address in the doc comment.
const SHOWN: &str = "127.0.0.1:8080";

/// The example, which stays until it is killed.
struct Handles {
    child: Child,
    address: String,
}

impl Handles {
    fn start() -> Self {
        let mut child = Command::new(example("handles"))
            .args(["--serve", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts: cargo build -p examples --examples");
        let mut address = String::new();
        let stdout = child.stdout.as_mut().expect("a piped stdout");
        BufReader::new(stdout).read_line(&mut address).expect("its address");
        Self { child, address: address.trim_end().to_owned() }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Cargo puts it: this test is in `deps`, beside `examples`.
fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a path of this test");
    let profile = this.parent().and_then(|deps| deps.parent()).expect("a directory of the profile");
    profile.join("examples").join(name)
}

/// The commands in the doc comment, each with the lines below it.
fn shown() -> Vec<(String, String)> {
    let doc = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
    let doc = doc.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let console = doc.skip_while(|line| *line != "```console").skip(1).take_while(|line| *line != "```");
    let mut shown: Vec<(String, String)> = Vec::new();
    for line in console {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push((command.to_owned(), String::new())),
            (None, Some((_, output))) => *output += &format!("{line}\n"),
            (None, None) => panic!("no command before {line}"),
        }
    }
    shown
}

#[test]
fn curl_prints_what_the_example_says() {
    let handles = Handles::start();
    let shown = shown();
    assert_eq!(shown.len(), 3);
    for (command, expected) in shown {
        let arguments: Vec<_> =
            command.split(' ').map(|part| part.replace(SHOWN, &handles.address)).collect();
        assert_eq!(arguments[0], "curl");
        let output = Command::new("curl")
            // As without settings of the user's, and on a terminal, where it shows no progress.
            .args(["--disable", "--noproxy", "*", "--no-progress-meter", "--max-time", "60"])
            .args(&arguments[1..])
            .output()
            .expect("curl, which scripts/test installs");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(printed.concat().replace("\r\n", "\n"), expected, "{command}");
        assert_eq!(output.status.success(), !expected.starts_with("curl: "), "{command}");
    }
}
