//! Unix sockets: how connecting fails, and what is theirs alone.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::future::IntoFuture;
use std::os::unix::fs::PermissionsExt;

use rpc_client::{Client, ConnectError};
use rpc_core::handshake::Refusal;
use rpc_server::Request;
use tempfile::TempDir;
use tests::{Args, Transport, arith, within};
use tokio::net::{UnixListener, UnixStream};

fn told(error: &ConnectError, address: &str) -> String {
    error.to_string().replace(address, "ADDRESS")
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_that_nobody_serves_is_told() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("socket");
    let address = format!("unix:{}", file.display());
    let error = within(Client::connect(&address)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Dial { .. }), "{error:?}");
    assert_eq!(
        told(&error, &address),
        "cannot connect to ADDRESS: No such file or directory (os error 2); is the server running, and the \
         path right?"
    );
    drop(UnixListener::bind(&file).unwrap());
    let error = within(Client::connect(&address)).await.unwrap_err();
    assert!(matches!(error, ConnectError::ConnectionRefused { .. }), "{error:?}");
    assert_eq!(
        told(&error, &address),
        "cannot connect to ADDRESS: Connection refused (os error 111); is the server running there?"
    );
}

#[tokio::test]
async fn who_may_enter_can_be_decided_by_user() {
    let me = UnixStream::pair().unwrap().0.peer_cred().unwrap().uid();
    for (allowed, enters) in [(me, true), (me + 1, false)] {
        let only = move |request: Request| async move {
            match request.peer.unix {
                Some(process) if process.uid == allowed => Ok(()),
                _ => Err(Refusal::forbidden("another user")),
            }
        };
        let served = Transport::Unix.serve(arith().authorize(only)).await;
        let connected = within(Client::connect(&served.address)).await;
        assert_eq!(connected.is_ok(), enters, "{connected:?}");
    }
}

/// Where TCP would wait, the system says at once that it cannot connect now.
#[tokio::test]
async fn a_client_waits_for_a_server_that_is_slow_to_accept() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("socket");
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&file).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        match UnixStream::connect(&file).await {
            Ok(stream) if waiting.len() < 1000 => waiting.push(stream),
            connected => break connected,
        }
    };
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let address = format!("unix:{}", file.display());
    let client = tokio::spawn(async move { Client::connect(address).await });
    tokio::task::yield_now().await;
    tokio::spawn(arith().serve(listener).into_future());
    let client = within(client).await.unwrap().unwrap();
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

#[tokio::test]
async fn a_socket_that_one_may_not_open_is_told() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("socket");
    let _listener = UnixListener::bind(&file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let address = format!("unix:{}", file.display());
    match std::os::unix::net::UnixStream::connect(&file) {
        // Root may open everything.
        Ok(_) => return,
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    let error = within(Client::connect(&address)).await.unwrap_err();
    assert_eq!(
        told(&error, &address),
        "cannot connect to ADDRESS: Permission denied (os error 13); may this user connect there?"
    );
}
