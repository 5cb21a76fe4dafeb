//! `tail`, on files that grow.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use crate::running::Running;

const TAIL: &str = env!("CARGO_BIN_EXE_tail");

/// A server of a file with some lines, and its address.
fn serve(file: &Path, lines: &str) -> (Running, String) {
    std::fs::write(file, lines).expect("a file");
    let server = Running::start(TAIL, &["serve", file.to_str().expect("a plain path")]);
    let address = server.line();
    (server, address)
}

fn append(file: &Path) -> File {
    OpenOptions::new().append(true).open(file).expect("the file")
}

fn follow(address: &str, options: &[&str]) -> Running {
    Running::start(TAIL, &[&["follow", address], options].concat())
}

#[test]
fn all_followers_get_all_lines_in_order_also_one_that_comes_late() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let (_server, address) = serve(&path, "0\n1\n2\n");
    let early = [follow(&address, &[]), follow(&address, &[])];
    let mut file = append(&path);
    for number in 3..1000 {
        // Also in pieces: half a line is none yet.
        write!(file, "{number}").unwrap();
        file.write_all(b"\n").unwrap();
    }
    let late = follow(&address, &[]);
    for number in 0..1000 {
        assert_eq!(early[0].line(), number.to_string());
        assert_eq!(early[1].line(), number.to_string());
        assert_eq!(late.line(), number.to_string());
    }
    file.write_all(b"half").unwrap();
    file.write_all("er B\u{e4}r\nlast\n".as_bytes()).unwrap();
    for follower in early.iter().chain([&late]) {
        assert_eq!([follower.line(), follower.line()], ["halfer B\u{e4}r", "last"]);
    }
}

#[test]
fn a_follower_may_begin_at_the_last_lines() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    // Longer than the blocks in which the file is searched from its end.
    let long = "x".repeat(20_000);
    let (_server, address) = serve(&path, &format!("1\n2\n{long}\n4\nhalf a li"));
    let begun = ["1", "2", "3", "100"].map(|lines| follow(&address, &["--lines", lines]));
    let expected: [&[&str]; 4] = [&["4"], &[&long, "4"], &["2", &long, "4"], &["1", "2", &long, "4"]];
    for (follower, expected) in begun.iter().zip(expected) {
        for line in expected {
            assert_eq!(follower.line(), *line);
        }
    }
    append(&path).write_all(b"ne\n").unwrap();
    for follower in begun {
        assert_eq!(follower.line(), "half a line");
    }
}

#[test]
fn a_file_that_is_emptied_is_followed_from_its_start() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let (_server, address) = serve(&path, "one\ntwo\n");
    let follower = follow(&address, &[]);
    assert_eq!([follower.line(), follower.line()], ["one", "two"]);
    std::fs::write(&path, "3\n").unwrap();
    assert_eq!(follower.line(), "3");
}

#[test]
fn a_server_that_goes_and_a_file_that_is_not_there_are_errors() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let (server, address) = serve(&path, "one\n");
    let follower = follow(&address, &[]);
    assert_eq!(follower.line(), "one");

    std::fs::remove_file(&path).unwrap();
    let (code, lines, stderr) = follow(&address, &[]).end();
    assert_eq!((code, lines.len()), (Some(1), 0));
    assert!(stderr.starts_with("tail: Tail.Lines at 127.0.0.1:"), "{stderr}");
    assert!(stderr.contains("No such file"), "{stderr}");

    drop(server);
    let (code, lines, stderr) = follower.end();
    assert_eq!((code, lines.len()), (Some(1), 0));
    assert!(stderr.starts_with("tail: Tail.Lines at 127.0.0.1:"), "{stderr}");
}

#[test]
fn wrong_arguments_are_explained() {
    let (code, _, stderr) = Running::start(TAIL, &["follow"]).end();
    assert_eq!(code, Some(2));
    assert!(stderr.contains("expected `serve FILE`") && stderr.contains("Usage:"), "{stderr}");
}
