//! `arith-server` by itself, and in front of a client that is not ours.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::process::{ArithServer, finish, text};

#[test]
fn its_first_line_is_its_address_and_sigterm_ends_it_in_good_order() {
    let server = ArithServer::start();
    let address: SocketAddr = server.address.parse().unwrap();
    assert_ne!(address.port(), 0);
    let output = server.terminate();
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.ends_with("ended: 0 connections, 0 calls finished, 0 cancelled\n"), "{stderr}");
}

#[test]
fn an_address_in_use_is_an_error() {
    let server = ArithServer::start();
    let second = Command::new(env!("CARGO_BIN_EXE_arith-server"))
        .args(["--listen", &server.address])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = finish(second);
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with(&format!("arith-server: cannot listen on {}: ", server.address)), "{stderr}");
}

#[test]
fn forty_lines_of_python_get_an_answer() {
    let server = ArithServer::start();
    let (host, port) = server.address.rsplit_once(':').unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/client.py");
    let spawned = Command::new("python3")
        .args([script, host, port])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let client = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: there is no python3");
            return;
        }
        spawned => spawned.unwrap(),
    };
    let output = finish(client);
    assert_eq!((text(output.stdout), text(output.stderr)), ("56\n".into(), String::new()));
}
