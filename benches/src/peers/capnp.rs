//! capnp-rpc over TCP, buffered as in its examples. Nothing of it may leave its thread: server and client have one of
//! their own, with a `current_thread` runtime, whatever the others have.

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
#[rustfmt::skip]
pub mod arith_capnp;

use std::net::SocketAddr;
use std::rc::Rc;

use ::capnp::Error;
use ::capnp_rpc::rpc_twoparty_capnp::Side;
use ::capnp_rpc::twoparty::VatNetwork;
use ::capnp_rpc::{RpcSystem, new_client};
use anyhow::{Result, bail, ensure};
use tokio::io::{BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::case::{Body, Calls, Load};
use crate::contract::PAUSE;
use crate::measure::{Meter, Tally};
use arith_capnp::arith::{
    self, EchoParams, EchoResults, MultiplyParams, MultiplyResults, WaitParams, WaitResults,
};

struct Handlers;

impl arith::Server for Handlers {
    async fn multiply(
        self: Rc<Self>,
        params: MultiplyParams,
        mut results: MultiplyResults,
    ) -> Result<(), Error> {
        let args = params.get()?;
        results.get().set_product(args.get_a().wrapping_mul(args.get_b()));
        Ok(())
    }

    async fn echo(self: Rc<Self>, params: EchoParams, mut results: EchoResults) -> Result<(), Error> {
        results.get().set_body(params.get()?.get_body()?);
        Ok(())
    }

    async fn wait(self: Rc<Self>, _: WaitParams, _: WaitResults) -> Result<(), Error> {
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// Serves until the process ends.
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: std::net::TcpListener) -> Result<()> {
    alone(async move || {
        let listener = TcpListener::from_std(listener)?;
        let arith: arith::Client = new_client(Handlers);
        loop {
            let (stream, _) = listener.accept().await?;
            let network = network(stream, Side::Server)?;
            spawn_local(RpcSystem::new(Box::new(network), Some(arith.clone().client)));
        }
    })
    .await
}

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When the load is not one of calls.
pub fn drive(address: SocketAddr, load: Load, meter: &mut Meter) -> Result<JoinSet<Result<()>>> {
    let Load::Calls(calls) = load else { bail!("calls alone are measured here") };
    let tallies = (0..calls.connections * calls.in_flight).map(|_| meter.tally(calls.timed)).collect();
    let mut tasks = JoinSet::new();
    tasks.spawn(alone(move || call_all(address, calls, tallies)));
    Ok(tasks)
}

/// Runs it on a thread of its own.
async fn alone(work: impl AsyncFnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let (done, outcome) = oneshot::channel();
    std::thread::spawn(move || {
        let run = || {
            Builder::new_current_thread().enable_all().build()?.block_on(LocalSet::new().run_until(work()))
        };
        // Nobody waits for it at the end of the process.
        let _ = done.send(run());
    });
    outcome.await?
}

fn network(stream: TcpStream, side: Side) -> Result<VatNetwork<impl futures_util::AsyncRead + Unpin>> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let (reader, writer) = (BufReader::new(reader).compat(), BufWriter::new(writer).compat_write());
    Ok(VatNetwork::new(reader, writer, side, Default::default()))
}

async fn connect(address: SocketAddr) -> Result<arith::Client> {
    let network = network(TcpStream::connect(address).await?, Side::Client)?;
    let mut system = RpcSystem::new(Box::new(network), None);
    let client = system.bootstrap(Side::Server);
    spawn_local(system);
    Ok(client)
}

/// One task for each call in flight, as [`drive`](crate::drive::drive) has; returns when one has failed.
async fn call_all(address: SocketAddr, calls: Calls, tallies: Vec<Tally>) -> Result<()> {
    let mut tasks = JoinSet::new();
    let mut tallies = tallies.into_iter();
    for _ in 0..calls.connections {
        let client = connect(address).await?;
        for (at, tally) in tallies.by_ref().take(calls.in_flight).enumerate() {
            tasks.spawn_local(call(client.clone(), calls.body, at as i64, tally));
        }
    }
    tasks.join_next().await.unwrap_or(Ok(Ok(())))?
}

async fn call(client: arith::Client, body: Body, b: i64, mut tally: Tally) -> Result<()> {
    let sent = if let Body::Echo(size) = body { vec![7; size] } else { Vec::new() };
    loop {
        let began = tally.begin();
        match body {
            Body::Small => {
                let mut request = client.multiply_request();
                request.get().set_a(7);
                request.get().set_b(b);
                let answer = request.send().promise.await?;
                ensure!(answer.get()?.get_product() == 7 * b, "the answer is no product");
            }
            Body::Echo(size) => {
                let mut request = client.echo_request();
                request.get().set_body(&sent);
                let answer = request.send().promise.await?;
                ensure!(answer.get()?.get_body()?.len() == size, "the answer is no echo");
            }
            Body::Wait => drop(client.wait_request().send().promise.await?),
            _ => bail!("no streams are measured here"),
        }
        tally.end(began);
    }
}
