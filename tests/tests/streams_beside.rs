//! Streams beside calls that leave no room.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use bytes::Bytes;
use futures_util::stream;
use rpc_client::Client;
use rpc_core::{Context, Service, Status};
use rpc_server::Server;
use tests::{pipe, within};

#[tokio::test]
async fn answers_that_never_cease_do_not_keep_a_stream_from_its_turn() {
    let service = Service::new("Beside")
        .method("Answer", |_: Context, len: usize| async move { Ok::<_, Status>(Bytes::from(vec![1; len])) })
        .server_stream("Items", |_: Context, len: usize| async move {
            Ok::<_, Status>(stream::repeat_with(move || Ok::<_, Status>(Bytes::from(vec![2; len]))))
        });
    let server = Server::builder().register(service).build().unwrap();
    let client = within(Client::new(pipe(&server))).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        callers.spawn(async move {
            loop {
                client.call::<_, Bytes>("Beside.Answer", 100_000).await.unwrap();
            }
        });
    }
    let mut items = within(client.call_server_stream::<_, Bytes>("Beside.Items", 1000)).await.unwrap();
    let taking = async {
        // Without its turn it gets some hundred in a second.
        for _ in 0..20_000 {
            items.next().await.unwrap().unwrap();
        }
    };
    within(taking).await;
    assert!(callers.try_join_next().is_none(), "they still call");
}
