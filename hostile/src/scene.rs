//! A server, an honest neighbour, and what both were before the attack.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use chaos::process::Process;
use rpc_client::Client;
use tokio::time::{Instant, sleep};

use crate::attack::Trial;
use crate::memory::{self, MIB};
use crate::neighbour::Neighbour;

pub(crate) struct Scene {
    server: Process,
    neighbour: Neighbour,
    client: Client,
    round: Duration,
    quiet: Duration,
    /// Before the attack.
    memory: u64,
    descriptors: usize,
}

impl Scene {
    /// Starts a server, connects its neighbour, and looks at both while all is quiet.
    pub(crate) async fn set(trial: &Trial) -> Result<Self> {
        let server = Process::start(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
        let neighbour = Neighbour::connect(server.address)?;
        let client = Client::connect(server.address.to_string()).await?;
        let round = trial.size(Duration::from_millis(500), Duration::from_millis(100));
        // The first rounds warm up.
        neighbour.p99(round / 2).await?;
        let quiet = neighbour.p99(round).await?;
        let (memory, descriptors) = (memory::resident(server.pid())?, server.owner().descriptors()?);
        Ok(Self { server, neighbour, client, round, quiet, memory, descriptors })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// An honest client besides, for questions.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// How often the neighbour's p99 is now what it was; tells both.
    pub(crate) async fn neighbour(&self, trial: &mut Trial) -> Result<f64> {
        let now = self.neighbour.p99(self.round).await?;
        let ratio = now.as_secs_f64() / self.quiet.as_secs_f64();
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let seen = format!("{:.0} us, quiet {:.0} us: {ratio:.2} times", us(now), us(self.quiet));
        trial.shows("neighbour's p99", seen);
        Ok(ratio)
    }

    /// Bytes that the server holds more than before.
    pub(crate) fn growth(&self) -> Result<f64> {
        Ok(memory::resident(self.pid())?.saturating_sub(self.memory) as f64)
    }

    /// Handlers of `Hostile.Hold` and `Hostile.Unread` that run, and the most that did.
    pub(crate) async fn live(&self) -> Result<(u64, u64)> {
        Ok(self.client.call("Hostile.Live", ()).await?)
    }

    /// Waits until no handler lives and no descriptor is open that was not before, and looks at what stays behind.
    pub(crate) async fn leave(self, trial: &mut Trial) -> Result<()> {
        let owner = self.server.owner();
        let open = owner.come_back_to(self.descriptors, Duration::from_secs(15)).await?;
        trial.at_most("descriptors left behind", open.saturating_sub(self.descriptors) as f64, 0.0);
        let end = Instant::now() + Duration::from_secs(10);
        while self.live().await?.0 > 0 && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
        trial.at_most("handlers left behind", self.live().await?.0 as f64, 0.0);
        trial.shows("memory left behind, MiB", format!("{:.2}", self.growth()? / MIB));
        trial.holds("the neighbour is served", self.neighbour.p99(self.round / 5).await.is_ok());
        Ok(())
    }
}
