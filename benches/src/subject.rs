//! What is measured. A peer is a variant here and a module with `listen` and `drive`.

use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;

use anyhow::{Error, Result, anyhow, bail};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::case::{Case, Load};
use crate::drive::drive;
use crate::measure::Meter;
#[cfg(feature = "peers")]
use crate::peers::{capnp, protosocket, tarpc, tonic};
#[cfg(feature = "tls")]
use crate::tls;
use crate::{floor, netrpc, ours};

/// A server and a client that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The hand-written echo that everything is compared to.
    Floor,
    /// This project.
    Ours,
    /// This project over a Unix socket.
    Unix,
    /// This project as a route of an axum service.
    #[cfg(feature = "mount")]
    Mounted,
    /// Go's net/rpc.
    NetRpc,
    /// Rust functions over bincode.
    #[cfg(feature = "peers")]
    Tarpc,
    /// protosocket-rpc.
    #[cfg(feature = "peers")]
    Protosocket,
    /// Cap'n Proto's calls.
    #[cfg(feature = "peers")]
    Capnp,
    /// gRPC.
    #[cfg(feature = "peers")]
    Tonic,
    /// This project over TLS.
    #[cfg(feature = "tls")]
    Tls,
    /// gRPC over TLS.
    #[cfg(all(feature = "peers", feature = "tls"))]
    TonicTls,
}

/// A server that can be connected to.
#[allow(missing_debug_implementations, reason = "a future has none")]
pub struct Serving {
    /// What clients are told, in one line.
    pub told: String,
    /// Serves until the process ends.
    pub serve: Pin<Box<dyn Future<Output = Result<()>> + Send>>,
}

impl Subject {
    /// All of them; the floor first.
    pub const ALL: &[Self] = &[
        Self::Floor,
        Self::Ours,
        Self::Unix,
        #[cfg(feature = "mount")]
        Self::Mounted,
        Self::NetRpc,
        #[cfg(feature = "peers")]
        Self::Tarpc,
        #[cfg(feature = "peers")]
        Self::Protosocket,
        #[cfg(feature = "peers")]
        Self::Capnp,
        #[cfg(feature = "peers")]
        Self::Tonic,
        #[cfg(feature = "tls")]
        Self::Tls,
        #[cfg(all(feature = "peers", feature = "tls"))]
        Self::TonicTls,
    ];

    /// Those that are measured when nothing else is asked for.
    pub const USUAL: [Self; 2] = [Self::Floor, Self::Ours];

    /// The name on the command line and in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
            Self::Unix => "unix",
            #[cfg(feature = "mount")]
            Self::Mounted => "mounted",
            Self::NetRpc => "netrpc",
            #[cfg(feature = "peers")]
            Self::Tarpc => "tarpc",
            #[cfg(feature = "peers")]
            Self::Protosocket => "protosocket",
            #[cfg(feature = "peers")]
            Self::Capnp => "capnp",
            #[cfg(feature = "peers")]
            Self::Tonic => "tonic",
            #[cfg(feature = "tls")]
            Self::Tls => "tls",
            #[cfg(all(feature = "peers", feature = "tls"))]
            Self::TonicTls => "tonic-tls",
        }
    }

    /// Whether this is measured of it: not all of them know streams.
    #[must_use]
    pub fn has(self, case: Case) -> bool {
        let streams =
            matches!(case, Case::SmallItems | Case::Quotes | Case::LargeItems | Case::Beside | Case::Bidi);
        match self {
            Self::Floor => !matches!(case, Case::Wait | Case::Beside),
            Self::NetRpc => !streams,
            #[cfg(feature = "peers")]
            Self::Tarpc => !streams,
            #[cfg(feature = "peers")]
            // Its streams have no credit: a call behind one may get no answer for seconds.
            Self::Protosocket => !matches!(case, Case::Quotes | Case::Bidi | Case::Beside),
            #[cfg(feature = "peers")]
            Self::Capnp => !streams && case != Case::Connect,
            _ => true,
        }
    }

    /// The program that serves and drives it: this one, as a rule.
    ///
    /// # Errors
    /// When there is none here.
    pub fn program(self) -> Result<PathBuf> {
        match self {
            Self::NetRpc => netrpc::program(),
            _ => Ok(std::env::current_exe()?),
        }
    }

    /// Listens, on this address if that is what it listens on.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn listen(self, address: &str) -> Result<Serving> {
        match self {
            Self::Floor => {
                let (listener, told) = bind(address).await?;
                Ok(Serving { told, serve: Box::pin(floor::serve(listener)) })
            }
            Self::Ours => ours::listen(address).await,
            Self::Unix => ours::listen_unix(),
            #[cfg(feature = "mount")]
            Self::Mounted => {
                let (listener, told) = bind(address).await?;
                Ok(Serving { told, serve: Box::pin(ours::serve_mounted(listener)) })
            }
            Self::NetRpc => bail!("net/rpc is a program of its own"),
            #[cfg(feature = "peers")]
            Self::Tarpc => {
                let (listener, told) = bind(address).await?;
                Ok(Serving { told, serve: Box::pin(tarpc::serve(listener)) })
            }
            #[cfg(feature = "peers")]
            Self::Protosocket => {
                // It binds by itself, and does not tell where.
                let address = std::net::TcpListener::bind(address)?.local_addr()?;
                let serve = Box::pin(protosocket::serve(address)?);
                Ok(Serving { told: address.to_string(), serve })
            }
            #[cfg(feature = "peers")]
            Self::Capnp => {
                let (listener, told) = bind(address).await?;
                Ok(Serving { told, serve: Box::pin(capnp::serve(listener.into_std()?)) })
            }
            #[cfg(feature = "peers")]
            Self::Tonic => {
                let (listener, told) = bind(address).await?;
                Ok(Serving { told, serve: Box::pin(tonic::serve(listener)) })
            }
            #[cfg(feature = "tls")]
            Self::Tls => tls::listen(address).await,
            #[cfg(all(feature = "peers", feature = "tls"))]
            Self::TonicTls => tonic::listen_tls(address).await,
        }
    }

    /// Connects to what was told, and puts the load on. The tasks go on until they are dropped; one that
    /// ends has failed.
    ///
    /// # Errors
    /// When a connection cannot be opened.
    pub async fn drive(self, told: &str, load: Load, meter: &mut Meter) -> Result<JoinSet<Result<()>>> {
        match self {
            Self::Floor => floor::drive(told.parse()?, load, meter).await,
            Self::Ours | Self::Unix => {
                let told = told.to_owned();
                drive(move || ours::connect(told.clone()), load, meter).await
            }
            #[cfg(feature = "mount")]
            Self::Mounted => {
                let told = told.to_owned();
                drive(move || ours::connect(told.clone()), load, meter).await
            }
            Self::NetRpc => bail!("net/rpc is a program of its own"),
            #[cfg(feature = "peers")]
            Self::Tarpc => {
                let address = told.parse()?;
                drive(move || tarpc::connect(address), load, meter).await
            }
            #[cfg(feature = "peers")]
            Self::Protosocket => {
                let address = told.parse()?;
                drive(move || protosocket::connect(address), load, meter).await
            }
            #[cfg(feature = "peers")]
            Self::Capnp => capnp::drive(told.parse()?, load, meter),
            #[cfg(feature = "peers")]
            Self::Tonic => {
                let endpoint = tonic::endpoint(told)?;
                drive(move || tonic::connect(endpoint.clone()), load, meter).await
            }
            #[cfg(feature = "tls")]
            Self::Tls => {
                let (address, trusted) = tls::trusting(told)?;
                drive(move || tls::connect(address.clone(), trusted.clone()), load, meter).await
            }
            #[cfg(all(feature = "peers", feature = "tls"))]
            Self::TonicTls => {
                let endpoint = tonic::trusting(told)?;
                drive(move || tonic::connect(endpoint.clone()), load, meter).await
            }
        }
    }
}

/// A listener, and where it listens.
pub(crate) async fn bind(address: &str) -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind(address).await?;
    let told = listener.local_addr()?.to_string();
    Ok((listener, told))
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.iter().copied().find(|subject| subject.name() == name);
        let names: Vec<_> = Self::ALL.iter().map(|subject| subject.name()).collect();
        known.ok_or_else(|| anyhow!("no subject {name}; there are {}", names.join(", ")))
    }
}
