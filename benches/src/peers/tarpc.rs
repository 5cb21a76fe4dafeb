//! tarpc with bincode over TCP: its serde transport, and channels with their defaults.

use std::net::SocketAddr;

use ::tarpc::serde_transport::tcp;
use ::tarpc::server::{BaseChannel, Channel};
use ::tarpc::tokio_serde::formats::Bincode;
use ::tarpc::{client, context};
use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::net::TcpListener;

use crate::contract::{Args, PAUSE};
use crate::drive::Caller;

/// The same call as [`crate::contract::Arith`]'s.
#[::tarpc::service]
pub trait Arith {
    /// The product.
    async fn multiply(args: Args) -> i64;

    /// The body itself.
    async fn echo(body: Bytes) -> Bytes;

    /// Nothing, after a while.
    async fn wait();
}

#[derive(Clone)]
struct Handlers;

impl Arith for Handlers {
    async fn multiply(self, _: context::Context, args: Args) -> i64 {
        args.a.wrapping_mul(args.b)
    }

    async fn echo(self, _: context::Context, body: Bytes) -> Bytes {
        body
    }

    async fn wait(self, _: context::Context) {
        tokio::time::sleep(PAUSE).await;
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

impl Caller for ArithClient {
    async fn multiply(&self, args: Args) -> Result<i64> {
        Ok(ArithClient::multiply(self, context::current(), args).await?)
    }

    async fn echo(&self, body: Bytes) -> Result<Bytes> {
        Ok(ArithClient::echo(self, context::current(), body).await?)
    }

    async fn wait(&self) -> Result<()> {
        Ok(ArithClient::wait(self, context::current()).await?)
    }
}
