//! The transports that a server can be reached by, each with a server at its other end.

use std::future::IntoFuture;

use rpc_client::Client;
use rpc_server::{Builder, Server};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};

/// What a connection runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, on the loopback address.
    Tcp,
    /// A Unix socket.
    Unix,
}

/// A server that is reached by one of them, until the runtime ends.
#[derive(Debug)]
pub struct Served {
    /// As clients are told.
    pub address: String,
    /// The server.
    pub server: Server,
    /// Where the socket's file is; it goes with this.
    _directory: Option<TempDir>,
}

impl Transport {
    /// Serves.
    ///
    /// # Panics
    /// When there is no socket to be had, or the server is not well built.
    pub async fn serve(self, builder: Builder) -> Served {
        let server = builder.build().expect("a well-built server");
        match self {
            Self::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("a bound address").to_string();
                tokio::spawn(server.serve(listener).into_future());
                Served { address, server, _directory: None }
            }
            Self::Unix => {
                let directory = TempDir::new().expect("a directory");
                let file = directory.path().join("socket");
                let listener = UnixListener::bind(&file).expect("a socket");
                tokio::spawn(server.serve(listener).into_future());
                let address = format!("unix:{}", file.display());
                Served { address, server, _directory: Some(directory) }
            }
        }
    }
}

impl Served {
    /// Settings for a client of it.
    pub fn builder(&self) -> rpc_client::Builder {
        Client::builder()
    }

    /// A client of it.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn client(&self) -> Client {
        self.builder().connect(&self.address).await.expect("a connection")
    }
}
