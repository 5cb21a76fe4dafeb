//! The checks, one after the other, of one way through a proxy.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::{join, join_all, try_join_all};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rpc_client::{Builder, Client, ConnectionState, Entry, Error, Proxy};
use rpc_core::Executed;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::service::ProbeClient;

/// For what passes, or comes to an end, at once.
const SOON: Duration = Duration::from_secs(30);
/// For calls to end when their proxy was killed: well below the times that would end them without that.
const BOUND: Duration = Duration::from_secs(5);

const CALLERS: usize = 64;
const CALLS: usize = 5_000;
const ITEMS: u64 = 100_000;
const ECHOES: u64 = 20_000;

/// One way through a proxy.
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) server: SocketAddr,
    pub(crate) proxy: SocketAddr,
    pub(crate) pid: Pid,
    /// After so many seconds of silence the proxy closes.
    pub(crate) timeout: u64,
    pub(crate) forward: bool,
    pub(crate) upgrade: bool,
}

impl Path {
    /// All checks; whether all was as it has to be.
    pub(crate) async fn check(&self) -> Result<bool> {
        within(SOON, "the proxy to listen", self.listening()).await?;
        let mut held = self.says("calls", within(SOON, "calls", self.calls()).await.and_then(|seen| seen));
        held &= self.says(
            "server stream",
            within(SOON, "a stream", self.server_stream()).await.and_then(|seen| seen),
        );
        held &= self
            .says("bidi stream", within(SOON, "a stream", self.bidi_stream()).await.and_then(|seen| seen));
        held &= self.says("silence, with pings", self.silence().await);
        held &= self.says("silence, without pings", self.silence_without_pings().await);
        // The last, for it leaves no proxy behind.
        held &= self.says("proxy killed", self.killed().await);
        Ok(held)
    }

    fn says(&self, check: &str, seen: Result<String>) -> bool {
        let held = seen.is_ok();
        match seen {
            Ok(seen) => println!("{:22} {check:24} ok    {seen}", self.name),
            Err(error) => println!("{:22} {check:24} FAIL  {error:#}", self.name),
        }
        held
    }

    async fn listening(&self) {
        while TcpStream::connect(self.proxy).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A client that pings every second.
    fn client(&self) -> Builder {
        let builder = Client::builder().ping_interval(Duration::from_secs(1));
        let builder = if self.upgrade { builder.entry(Entry::Upgrade) } else { builder };
        if self.forward {
            builder.proxy(Proxy::http(self.proxy).credentials("ann", "secret"))
        } else {
            builder
        }
    }

    async fn dial(&self, builder: Builder) -> Result<Client> {
        let address = if self.forward { self.server } else { self.proxy };
        Ok(builder.connect(address).await?)
    }

    async fn connect(&self, builder: Builder) -> Result<ProbeClient<Client>> {
        self.dial(builder).await.map(ProbeClient::new)
    }

    async fn calls(&self) -> Result<String> {
        let probe = self.connect(self.client()).await?;
        let callers = (0..CALLERS).map(|caller| {
            let probe = &probe;
            async move {
                for call in (caller..CALLS).step_by(CALLERS) {
                    let bytes = Bytes::from(vec![call as u8; call]);
                    ensure!(probe.echo(bytes.clone()).await? == bytes, "other bytes came back");
                }
                anyhow::Ok(())
            }
        });
        try_join_all(callers).await?;
        Ok(format!("{CALLS} of up to {CALLS} bytes, {CALLERS} at once"))
    }

    async fn server_stream(&self) -> Result<String> {
        let probe = self.connect(self.client()).await?;
        let mut numbers = probe.count(ITEMS, 0).await?;
        for expected in 0..ITEMS {
            ensure!(numbers.try_next().await? == Some(expected), "not item {expected}");
        }
        ensure!(numbers.try_next().await?.is_none(), "an item too many");
        Ok(format!("{ITEMS} items in order"))
    }

    async fn bidi_stream(&self) -> Result<String> {
        let probe = self.connect(self.client()).await?;
        let (mut sender, mut doubled) = probe.doubled().await?;
        let sending = async {
            for number in 0..ECHOES {
                sender.send(number).await?;
            }
            sender.finish();
            anyhow::Ok(())
        };
        let receiving = async {
            for number in 0..ECHOES {
                ensure!(doubled.try_next().await? == Some(2 * number), "not the answer to item {number}");
            }
            ensure!(doubled.try_next().await?.is_none(), "an item too many");
            anyhow::Ok(())
        };
        let (sent, received) = join(sending, receiving).await;
        sent.and(received)?;
        Ok(format!("{ECHOES} items there and back"))
    }

    /// Twice the proxy's timeout, in which nobody says anything but pings.
    fn silent(&self) -> Duration {
        Duration::from_secs(2 * self.timeout)
    }

    /// One connection without calls, one with a call that is not answered, one with a stream that has no items. None of
    /// them may dial again.
    async fn silence(&self) -> Result<String> {
        let client = || self.client().reconnect(false);
        let (idle, calling) = (self.connect(client()).await?, self.connect(client()).await?);
        let streaming = self.connect(client()).await?;
        let silent = self.silent();
        let millis = silent.as_millis() as u64;
        let idle = async {
            idle.echo(Bytes::new()).await?;
            sleep(silent).await;
            idle.echo(Bytes::new()).await.context("the idle connection")
        };
        let calling = async { calling.wait(millis).await.context("the call") };
        let streaming = async {
            let items =
                streaming.count(10, millis).await?.try_collect::<Vec<_>>().await.context("the stream")?;
            ensure!(items.len() == 10, "items are missing");
            anyhow::Ok(())
        };
        within(silent + SOON, "silence to end", async {
            let (idle, (calling, streaming)) = join(idle, join(calling, streaming)).await;
            idle.map(drop).and(calling).and(streaming)
        })
        .await??;
        Ok(format!("{silent:?} at a timeout of {} s: idle, in a call, in a stream", self.timeout))
    }

    /// The counterproof: without pings the proxy does close.
    async fn silence_without_pings(&self) -> Result<String> {
        let client = self.dial(self.client().ping_interval(None).reconnect(false)).await?;
        let mut state = client.watch_state();
        let probe = ProbeClient::new(client);
        probe.echo(Bytes::new()).await?;
        let silent_since = Instant::now();
        let closed = async { while let Some(ConnectionState::Ready) = state.changed().await {} };
        timeout(self.silent(), closed).await.with_context(|| format!("open after {:?}", self.silent()))?;
        let after = silent_since.elapsed();
        match within(SOON, "a call to end", probe.echo(Bytes::new())).await? {
            Ok(_) => bail!("a call was answered on a connection that is closed"),
            Err(error) => Ok(format!("closed after {after:.1?}, a call then: {error}")),
        }
    }

    /// The proxy is killed while calls and streams are on their way.
    async fn killed(&self) -> Result<String> {
        let direct = ProbeClient::new(Client::connect(self.server).await?);
        let probe = self.connect(self.client()).await?;
        let calls: Vec<_> = (0..CALLERS)
            .map(|_| {
                let probe = probe.clone();
                tokio::spawn(async move { probe.wait(120_000).await })
            })
            .collect();
        let mut numbers = probe.count(2, 120_000).await?;
        ensure!(numbers.try_next().await? == Some(0), "no item came");
        let (mut sender, mut doubled) = probe.doubled().await?;
        sender.send(1).await?;
        ensure!(doubled.try_next().await? == Some(2), "no item came back");
        within(SOON, "calls to arrive", async {
            while direct.waiting().await? < CALLERS as u64 {
                sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        })
        .await??;
        kill(self.pid, Signal::SIGKILL).context("the proxy")?;
        let killed = Instant::now();
        let ends = within(BOUND, "calls to end", join_all(calls)).await?;
        for end in ends {
            is_maybe(end?)?;
        }
        is_maybe(within(BOUND, "a stream to end", numbers.try_next()).await?)?;
        is_maybe(within(BOUND, "a stream to end", doubled.try_next()).await?)?;
        let took = killed.elapsed();
        // Nobody is there to dial, and that is no reason to wait.
        match within(BOUND, "a call to fail", probe.echo(Bytes::new())).await? {
            Err(error) if error.executed() == Executed::No => {}
            Err(error) => bail!("a call after that has executed: {:?}: {error}", error.executed()),
            Ok(_) => bail!("a call after that was answered"),
        }
        within(BOUND, "the server to drop the calls", async {
            while direct.waiting().await? > 0 {
                sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        })
        .await??;
        Ok(format!(
            "{CALLERS} calls and 2 streams ended within {took:.0?}, executed: Maybe; the next one: No"
        ))
    }
}

fn is_maybe<T>(end: Result<T, Error>) -> Result<()> {
    match end {
        Err(error) if error.executed() == Executed::Maybe => Ok(()),
        Err(error) => bail!("executed: {:?}: {error}", error.executed()),
        Ok(_) => bail!("it was answered, though the proxy is gone"),
    }
}

async fn within<F: IntoFuture>(time: Duration, what: &str, future: F) -> Result<F::Output> {
    timeout(time, future.into_future()).await.with_context(|| format!("waited {time:?} in vain for {what}"))
}
