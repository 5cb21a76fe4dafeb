//! tarpc with bincode over TCP: its serde transport, and channels with their defaults.

use std::net::SocketAddr;

use ::tarpc::serde_transport::tcp;
use ::tarpc::server::{BaseChannel, Channel};
use ::tarpc::tokio_serde::formats::Bincode;
use ::tarpc::{client, context};
use anyhow::Result;
use futures_util::StreamExt;
use tokio::net::TcpListener;

use crate::contract::Args;

/// The same call as [`crate::contract::Arith`]'s.
#[::tarpc::service]
pub trait Arith {
    /// The product.
    async fn multiply(args: Args) -> i64;
}

#[derive(Clone)]
struct Handlers;

impl Arith for Handlers {
    async fn multiply(self, _: context::Context, args: Args) -> i64 {
        args.a.wrapping_mul(args.b)
    }
}

/// Serves until the process ends: a task for each connection and one for each call, as in tarpc's
/// own example.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(listener: TcpListener) -> Result<()> {
    let mut incoming = tcp::listen_on(listener, Bincode::default).await?;
    while let Some(accepted) = incoming.next().await {
        let transport = accepted?;
        transport.get_ref().set_nodelay(true)?;
        let calls = BaseChannel::with_defaults(transport).execute(Handlers.serve());
        tokio::spawn(calls.for_each(|call| async {
            tokio::spawn(call);
        }));
    }
    Ok(())
}

/// A connection with its task.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect(address: SocketAddr) -> Result<ArithClient> {
    let transport = tcp::connect(address, Bincode::default).await?;
    transport.get_ref().set_nodelay(true)?;
    Ok(ArithClient::new(client::Config::default(), transport).spawn())
}

/// One call.
///
/// # Errors
/// As the call's.
pub async fn multiply(client: &ArithClient, args: Args) -> Result<i64> {
    Ok(client.multiply(context::current(), args).await?)
}
