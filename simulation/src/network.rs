//! The client's `Connector` and the server's `Listener` over turmoil's TCP.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rpc_client::Connector;
use rpc_core::Peer;
use tokio::time::timeout;
use turmoil::net::{TcpListener, TcpStream};

use crate::fault::server_name;
use crate::plan::Plan;
use crate::stream::{Manners, Stream};
use crate::window::Window;

const PORT: u16 = 80;

/// One server is tried for so long.
const TRY: Duration = Duration::from_millis(80);

/// What both ends of all connections share.
#[derive(Debug)]
pub struct Network {
    manners: Manners,
    servers: usize,
    seeds: Mutex<SmallRng>,
    /// Of connections that were dialled and not yet accepted, by the client's address.
    dialled: Mutex<HashMap<SocketAddr, Windows>>,
    healed: AtomicBool,
    counts: Counts,
}

/// From the client to the server, and back.
type Windows = (Arc<Window>, Arc<Window>);

#[derive(Debug, Default)]
struct Counts {
    made: AtomicUsize,
    open: AtomicUsize,
    failed: AtomicUsize,
}

/// A stream that is counted, for as long as it is there.
pub(crate) struct Place {
    network: Arc<Network>,
    dialled: bool,
}

impl Place {
    /// Whether nothing fails any more.
    pub(crate) fn is_healed(&self) -> bool {
        self.network.healed.load(Relaxed)
    }

    pub(crate) fn failed(&self) {
        self.network.counts.failed.fetch_add(1, Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.network.counts.open.fetch_sub(usize::from(self.dialled), Relaxed);
    }
}

impl Network {
    /// The network of a world.
    #[must_use]
    pub fn new(plan: &Plan) -> Arc<Self> {
        Arc::new(Self {
            manners: plan.manners.clone(),
            servers: plan.servers,
            seeds: Mutex::new(SmallRng::seed_from_u64(!plan.seed)),
            dialled: Mutex::default(),
            healed: AtomicBool::new(false),
            counts: Counts::default(),
        })
    }

    /// From now on no connection fails.
    pub fn heal(&self) {
        self.healed.store(true, Relaxed);
    }

    /// Connections that clients have open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counts.open.load(Relaxed)
    }

    /// Connections that were made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.counts.made.load(Relaxed)
    }

    /// How often an operation met a stream that had failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.counts.failed.load(Relaxed)
    }

    /// The way of one client to the servers.
    #[must_use]
    pub fn dialler(self: &Arc<Self>, first: usize) -> Dialler {
        Dialler { network: self.clone(), next: AtomicUsize::new(first) }
    }

    /// Where the server of this host listens.
    ///
    /// # Errors
    /// As the transport's.
    pub async fn listen(self: &Arc<Self>) -> io::Result<Listener> {
        let tcp = TcpListener::bind(("0.0.0.0", PORT)).await?;
        Ok(Listener { network: self.clone(), tcp })
    }

    fn stream(self: &Arc<Self>, tcp: TcpStream, dialled: bool) -> io::Result<Stream> {
        let seed = self.seeds.lock().unwrap_or_else(PoisonError::into_inner).random();
        let place = Place { network: self.clone(), dialled };
        self.counts.open.fetch_add(usize::from(dialled), Relaxed);
        self.counts.made.fetch_add(usize::from(dialled), Relaxed);
        let client = if dialled { tcp.local_addr()? } else { tcp.peer_addr()? };
        let mut waiting = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        // Whichever end comes first leaves the windows for the other.
        let (up, down) = waiting.remove(&client).unwrap_or_else(|| {
            let windows: Windows =
                (Arc::new(Window::new(self.manners.window)), Arc::new(Window::new(self.manners.window)));
            waiting.insert(client, windows.clone());
            windows
        });
        let (incoming, outgoing) = if dialled { (down, up) } else { (up, down) };
        Ok(Stream::new(tcp, self.manners.clone(), seed, incoming, outgoing, place))
    }
}

/// Tries the servers in turn, the next one first.
#[derive(Debug)]
pub struct Dialler {
    network: Arc<Network>,
    next: AtomicUsize,
}

impl Connector for Dialler {
    type Io = Stream;

    async fn connect(&self) -> io::Result<Stream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for _ in 0..self.network.servers {
            let server = self.next.fetch_add(1, Relaxed) % self.network.servers;
            let dial = TcpStream::connect((server_name(server), PORT));
            match timeout(TRY, dial).await {
                Ok(Ok(tcp)) => return self.network.stream(tcp, true),
                Ok(Err(error)) => last = error,
                Err(elapsed) => last = elapsed.into(),
            }
        }
        Err(last)
    }
}

/// Accepts what [`Dialler`]s dial.
pub struct Listener {
    network: Arc<Network>,
    tcp: TcpListener,
}

impl rpc_server::Listener for Listener {
    type Io = Stream;

    async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let (tcp, from) = self.tcp.accept().await?;
        Ok((self.network.stream(tcp, false)?, from.into()))
    }
}
