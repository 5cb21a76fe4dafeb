//! Our client, tested with every vector.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::ready;

use conformance::{Driver, Role, Slices, VECTORS, drive, play_client, read_all};

/// Plays all of them, each to a client of its own, and names those that fail.
async fn play_all(slices: Slices) {
    let mut failed = Vec::new();
    for vector in read_all(VECTORS).unwrap().iter().filter(|vector| vector.role == Role::Client) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (mut driver, commands, tells) = Driver::pair();
        let driven = tokio::spawn(drive(|builder| builder.over(far), commands, tells));
        if let Err(error) = play_client(vector, ready(Ok(near)), &mut driver, slices).await {
            failed.push(format!("{error:#}"));
        }
        drop(driver);
        if let Err(error) = driven.await.unwrap() {
            failed.push(format!("{}: {error:#}", vector.name));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn our_client_does_what_every_vector_asks_for() {
    play_all(Slices::Whole).await;
}

#[tokio::test(start_paused = true)]
async fn our_client_does_so_when_all_comes_byte_by_byte() {
    play_all(Slices::Bytes).await;
}
