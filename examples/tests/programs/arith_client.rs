//! `arith-client` against `arith-server`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;

use crate::process::{ArithServer, finish, run_client, spawn_client, text};

#[test]
fn answers_stand_in_the_order_of_the_lines_and_an_error_beside_its_line() {
    let server = ArithServer::start();
    let (code, stdout, stderr) = run_client(&[&server.address], "7 * 8\n17 / 5\n1 / 0\n");
    assert_eq!(stdout, "56\n3 remainder 2\n1 / 0: divide by zero\n");
    assert_eq!(stderr, "arith-client: 1 of 3 lines failed\n");
    assert_eq!(code, Some(1));
}

#[test]
fn good_lines_end_with_exit_code_zero() {
    let server = ArithServer::start();
    let input = "# numbers\n\n7 * 8\r\n  -17/5  \n# no newline at the end\n2 * 3";
    let (code, stdout, stderr) = run_client(&[&server.address], input);
    assert_eq!((code, &*stdout, &*stderr), (Some(0), "56\n-3 remainder -2\n6\n", ""));
    assert_eq!(run_client(&[&server.address], "").0, Some(0));
}

#[test]
fn malformed_lines_are_named_and_the_others_answered() {
    let server = ArithServer::start();
    let huge = "9".repeat(30);
    let input = format!("# one\n\n2 * 3\n7 x 8\n{huge} * 1\n{}\n9 / 2\n", "7".repeat(100_000));
    let (code, stdout, _) = run_client(&[&server.address], &input);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], "6");
    assert_eq!(lines[1], "line 4: \"7 x 8\": expected a number, * or /, and a number");
    assert_eq!(lines[2], format!("line 5: \"{huge} * 1\": {huge} does not fit into 64 bits"));
    assert!(lines[3].starts_with("line 6: \"777"), "{}", lines[3]);
    assert!(lines[3].ends_with("\": the line is too long for an expression"), "{}", lines[3]);
    assert_eq!((lines[4], lines.len(), code), ("4 remainder 1", 5, Some(1)));
}

#[test]
fn fifty_thousand_lines_of_a_file_keep_their_order() {
    let server = ArithServer::start();
    let (mut input, mut expected) = (String::new(), String::new());
    for n in 0..50_000 {
        writeln!(input, "{n} * 3").unwrap();
        writeln!(expected, "{}", n * 3).unwrap();
    }
    let file = std::env::temp_dir().join(format!("arith-lines-{}", std::process::id()));
    std::fs::write(&file, input).unwrap();
    let (code, stdout, stderr) = run_client(&[&server.address, file.to_str().unwrap()], "");
    std::fs::remove_file(&file).unwrap();
    assert!(stdout == expected, "{} of {} bytes", stdout.len(), expected.len());
    assert_eq!((code, &*stderr), (Some(0), ""));
}

#[test]
fn an_answer_comes_before_the_input_ends() {
    let server = ArithServer::start();
    let mut client = spawn_client(&[&server.address]);
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    for (question, answer) in [("7 * 8\n", "56\n"), ("17 / 5\n", "3 remainder 2\n")] {
        stdin.write_all(question.as_bytes()).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, answer);
    }
    drop(stdin);
    assert!(finish(client).status.success());
}

#[test]
fn a_reader_that_leaves_ends_the_client_quietly() {
    let server = ArithServer::start();
    let mut client = spawn_client(&[&server.address]);
    let mut stdin = client.stdin.take().unwrap();
    // Never closed by this side before the client has ended: only the broken pipe ends it.
    let feeder = std::thread::spawn(move || while stdin.write_all(b"7 * 8\n").is_ok() {});
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "56\n");
    let output = finish(client);
    feeder.join().unwrap();
    assert_eq!((output.status.code(), text(output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_lost_connection_ends_the_client_though_its_input_goes_on() {
    let server = ArithServer::start();
    let mut client = spawn_client(&[&server.address]);
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    stdin.write_all(b"7 * 8\n").unwrap();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(server);
    stdin.write_all(b"\n6 * 7\n").unwrap();
    let output = finish(client);
    drop(stdin);
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr, "arith-client: the connection was lost at line 3; the rest was not asked\n");
    line.clear();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("6 * 7: Arith.Multiply at 127.0.0.1:"), "{line}");
}

#[test]
fn no_server_no_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (code, stdout, stderr) = run_client(&[&address], "7 * 8\n");
    assert_eq!((code, &*stdout), (Some(1), ""));
    assert!(stderr.starts_with(&format!("arith-client: cannot connect to {address}: ")), "{stderr}");
    assert!(stderr.trim_end().ends_with("is the server running there?"), "{stderr}");
}

#[test]
fn wrong_arguments_are_explained() {
    let (code, stdout, stderr) = run_client(&[], "");
    assert_eq!((code, &*stdout), (Some(2), ""));
    assert!(stderr.contains("ADDR is missing") && stderr.contains("Usage:"), "{stderr}");
    let (code, _, stderr) = run_client(&["127.0.0.1:1", "/no/such/file"], "");
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("arith-client: cannot open /no/such/file: "), "{stderr}");
}
