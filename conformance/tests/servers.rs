//! Our server, tested with every vector.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use conformance::{Role, Slices, VECTORS, play_server, read_all, server};

/// Plays all of them, each to a server of its own, and names those that fail.
async fn play_all(slices: Slices) {
    let mut failed = Vec::new();
    for vector in read_all(VECTORS).unwrap().iter().filter(|vector| vector.role == Role::Server) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let server = server(vector.setup).unwrap();
        let serving = tokio::spawn(async move { server.serve_connection(far).await });
        if let Err(error) = play_server(vector, near, slices).await {
            failed.push(format!("{error:#}"));
        }
        serving.abort();
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn our_server_does_what_every_vector_asks_for() {
    play_all(Slices::Whole).await;
}

#[tokio::test(start_paused = true)]
async fn our_server_does_so_when_all_comes_byte_by_byte() {
    play_all(Slices::Bytes).await;
}
