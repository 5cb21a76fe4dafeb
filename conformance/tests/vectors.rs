//! The vectors themselves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;

use conformance::{
    Driver, Role, Slices, VECTORS, Vector, drive, parse, play_client, play_server, read_all, server,
};
use tokio::io::AsyncWriteExt;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");

/// The numbers in `**M1**`, `**M2**` and so on.
fn musts() -> BTreeSet<u16> {
    // A server has the other ways in or not; what holds behind them is what holds behind CONNECT.
    let (connect, _) = PROTOCOL.split_once("## Other ways in").unwrap();
    let numbers = connect.split("**M").skip(1).filter_map(|rest| rest.split_once("**"));
    numbers.filter_map(|(number, _)| number.parse().ok()).collect()
}

#[test]
fn every_must_is_held_by_a_vector_and_every_vector_holds_one() {
    let vectors = read_all(VECTORS).unwrap();
    assert!(vectors.len() >= 750, "{}", vectors.len());
    let held = vectors.iter().flat_map(|vector| vector.holds.iter().copied()).collect::<BTreeSet<_>>();
    assert!(musts().len() >= 132);
    assert_eq!(held, musts(), "on the left what is held, on the right what has to be");
}

#[test]
fn no_two_vectors_of_a_side_have_one_name() {
    let vectors = read_all(VECTORS).unwrap();
    for role in [Role::Server, Role::Client] {
        let mut names = BTreeMap::new();
        for vector in vectors.iter().filter(|vector| vector.role == role) {
            if let Some(other) = names.insert((&vector.file, &vector.name), vector.line) {
                panic!("{}:{other} and {}: {}", vector.file, vector.line, vector.name);
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let begin = "vector v\nholds M1\ntests server\n";
    for (line, text) in [
        (1, "send 00".to_owned()),
        (4, format!("{begin}sends 00")),
        (4, format!("{begin}send 000")),
        (4, format!("{begin}send 0g")),
        (4, format!("{begin}send \"open")),
        (4, format!("{begin}send \"\\t\"")),
        (4, format!("{begin}expect .. 00")),
        (4, format!("{begin}send 00*")),
        (4, format!("{begin}send ffff*1000000000")),
        (4, format!("{begin}send (00*2")),
        (4, format!("{begin}wait 1s")),
        (4, format!("{begin}again")),
        (4, format!("{begin}each 3 from 1\nsend 00")),
        (6, format!("{begin}each 3 from 1\nsend {{hex1}}0\nagain")),
        (5, format!("{begin}each 3 from 1\neach 3 from 1")),
        (2, "vector v\nholds 1".to_owned()),
        (2, "vector v\ntests both".to_owned()),
        (1, "vector v\ntests server\nsend 00".to_owned()),
        (1, begin.to_owned()),
    ] {
        let error = format!("{:#}", parse("some.txt", &text).unwrap_err());
        assert!(error.starts_with("some.txt") && !error.contains('\n'), "{error}");
        let names =
            error.starts_with(&format!("some.txt:{line}: ")) || error.starts_with("some.txt: the last");
        assert!(names, "{line}: {error}");
    }
}

/// Plays the one vector in a text to our server.
async fn play(steps: &str) -> Result<(), String> {
    let text = format!("vector v\nholds M1\ntests server\n{steps}\n");
    let vector: Vector = parse("some.txt", &text).unwrap().remove(0);
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = server(vector.setup).unwrap();
    let serving = tokio::spawn(async move { server.serve_connection(far).await });
    let played = play_server(&vector, near, Slices::Whole).await;
    serving.abort();
    played.map_err(|error| format!("{error:#}"))
}

const CALL: &str = "send 00000025 01 08 0000000000010000 0001 0000000000000000 0e \"Arith.Multiply\" 0e10\n";

const ITEMS: &str = "send 00000024 01 0c 0000000000010000 0000 0000000000000000 0e \"Stream.Numbers\" 06\n\
    send 0000000a 06 00 0000000000010000\nexpect 0000000a 02 04 0000000000010000\n";

#[tokio::test(start_paused = true)]
async fn a_vector_that_asks_for_something_else_fails() {
    for steps in [
        "expect 0000000b 02 00 0000000000010000 71",
        "expect 0000000c 02 00 0000000000010000 70 00",
        "expect 0000000b 02 00 0000000000010000 !70",
        "expect 0000000b 02 00 0000000000020000 70",
        "among 0000000b 02 00 0000000000010000 71",
        "data 0000000000010000 00000001 02",
        "credits 0000000000010000 1",
        "until 0000000b 02 00 0000000000010000 71",
        "closes",
        "ends",
        "silent",
        "fin\nends",
        "expect 0000000b 02 00 0000000000010000 70\nexpect 0000000b 02 00 0000000000010000 70",
        "send 00000000\ncloses 2",
        "send 00000000\nends",
        "status 200",
    ] {
        assert!(play(&format!("{CALL}{steps}")).await.is_err(), "{steps}");
    }
    for steps in
        ["expect 0000000b 02 00 0000000000010000 70", "until 0000000b 02 .. ", "send 00000000\ncloses 1"]
    {
        assert_eq!(play(&format!("{CALL}{steps}")).await, Ok(()), "{steps}");
    }
    let (first, last) = ("data 0000000000010000 00000001 02", "00000001 04 00000001 06");
    for steps in
        [format!("{first} 00000001 05"), format!("{first}\nsilent"), format!("{first} {last}\nsilent")]
    {
        assert!(play(&format!("{ITEMS}{steps}")).await.is_err(), "{steps}");
    }
    let all = format!(
        "{ITEMS}{first}\ndata 0000000000010000 {last}\nexpect 0000000a 06 00 0000000000010000\nsilent"
    );
    assert_eq!(play(&all).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_whatever_the_step_fails() {
    // The head of an answer with items; what follows is of stream 1.
    let begin = b"HTTP/1.0 200 OK\r\n\r\n\0\0\0\x0a\x02\x04\0\0\0\0\0\x01\0\0";
    let id = b"\0\0\0\0\0\0\x01\0\0";
    let whole: &[u8] = &[b"\0\0\0\x0f\x05", &id[..], b"\0\0\0\x01\x02"].concat();
    let item = "expect 0000000a 02 04 0000000000010000\ndata 0000000000010000 00000001 02";
    for (bytes, fails) in [
        (whole, false),
        (&[b"\0\0\0\x0a\x05", &id[..], whole].concat(), true),
        (&[b"\0\0\0\x0c\x05", &id[..], b"\0\0", b"\0\0\0\x0d\x05", id, b"\0\x01\x02"].concat(), true),
        (&[whole, whole].concat(), true),
        (b"\0\x40\0\x01\x05", true),
    ] {
        let text = format!("vector v\nholds M1\ntests server\n{item}\nends\n");
        let vector = parse("some.txt", &text).unwrap().remove(0);
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        far.write_all(begin).await.unwrap();
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        let played = play_server(&vector, near, Slices::Whole).await;
        assert_eq!(played.is_err(), fails, "{bytes:02x?}: {played:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vector_that_asks_a_client_for_something_else_fails() {
    let call = "do call 1 Arith.Multiply 7 8\n";
    let asked = format!("{call}request 1 Arith.Multiply 0e10\n");
    let ends = "send 0000000b 02 00 $1 70\n";
    let all = format!("{asked}{ends}told 1 response 56");
    for (steps, passes) in [
        (all.clone(), true),
        (format!("{asked}{ends}told 1 response 5.."), true),
        (format!("{asked}{ends}told 1 response 57"), false),
        (format!("{asked}{ends}told 2 response 56"), false),
        (format!("{asked}silent\n{ends}told 1 response 56"), true),
        (format!("{call}silent"), false),
        (format!("{call}request 1 Arith.Multiply 0e11"), false),
        (format!("{call}request 1 Arith.Divide 0e10"), false),
        (format!("{call}request 1 more Arith.Multiply 0e10"), false),
        (format!("{call}request 1 deadline 0..9 Arith.Multiply 0e10"), false),
        (format!("{call}request 1 metadata 00 Arith.Multiply 0e10"), false),
        (format!("{asked}send 0000000b 02 00 $2 70"), false),
        (format!("{all}\nrequest 2 Arith.Multiply 0e10"), false),
    ] {
        let text = format!("vector v\nholds M1\ntests client\n{steps}\n");
        let vector = parse("some.txt", &text).unwrap().remove(0);
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (mut driver, commands, tells) = Driver::pair();
        let driven = tokio::spawn(drive(|builder| builder.over(far), commands, tells));
        let played = play_client(&vector, ready(Ok(near)), &mut driver, Slices::Whole).await;
        assert_eq!(played.is_ok(), passes, "{steps}: {played:?}");
        driven.abort();
    }
}
