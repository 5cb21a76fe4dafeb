//! What sees every call: credentials on one side, their check and a count on the other.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use rpc_client::{Client, Outgoing};
use rpc_core::{Code, Context, Status};
use rpc_server::{Ended, Server};
use tokio::net::TcpListener;

/// Adds a token to every call of a client.
struct AddToken(&'static str);

impl rpc_client::Interceptor for AddToken {
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(call.metadata.insert("token", self.0)?)
    }
}

/// Refuses calls without the right token, before their handlers run.
struct CheckToken;

impl rpc_server::Interceptor for CheckToken {
    fn before(&self, cx: &Context) -> Result<(), Status> {
        match cx.metadata().text("token") {
            Some("sesame") => Ok(()),
            _ => Err(Status::unauthenticated("who are you?")),
        }
    }
}

/// How calls ended.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<BTreeMap<String, u32>>>);

impl rpc_server::Interceptor for Count {
    fn after(&self, call: &Ended<'_>) {
        let outcome = call.code.map_or("Ok".to_owned(), |code| code.to_string());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(format!("{} {outcome}", call.method)).or_default() += 1;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let count = Count::default();
    let server = Server::builder()
        .register_fn("Cave.Open", |_cx: Context, (): ()| async { Ok::<_, Status>("gold".to_owned()) })
        .interceptor(count.clone())
        .interceptor(CheckToken);
    tokio::spawn(server.serve(listener).into_future());

    for (token, expected) in [("sesame", None), ("barley", Some(Code::Unauthenticated))] {
        let client = Client::builder().interceptor(AddToken(token)).connect(&address).await?;
        let answer = client.call::<_, String>("Cave.Open", ()).await;
        println!("{token}: {answer:?}");
        ensure!(answer.err().and_then(|error| Some(error.status()?.code())) == expected);
    }
    let counts = count.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("{counts:?}");
    ensure!(counts.len() == 2 && counts.values().all(|count| *count == 1));
    Ok(())
}
