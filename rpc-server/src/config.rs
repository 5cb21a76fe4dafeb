//! Limits and times of a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::request::Parts;
use rpc_core::handshake::{DEFAULT_PATH, MAX_HEAD, Refusal};
use rpc_core::{Format, Limits};
use rpc_io::TcpOptions;

use crate::error::BuildError;

/// Decides who may enter, from the CONNECT request and the address it came from.
pub(crate) type AcceptHook = Arc<dyn Fn(&Parts, Option<SocketAddr>) -> Result<(), Refusal> + Send + Sync>;

/// See the methods of [`Builder`](crate::Builder), where each is documented.
pub(crate) struct Config {
    pub(crate) path: String,
    #[cfg(feature = "debug-page")]
    pub(crate) debug_path: Option<String>,
    pub(crate) formats: Vec<Format>,
    pub(crate) limits: Limits,
    pub(crate) head_timeout: Duration,
    pub(crate) max_head: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: Option<usize>,
    pub(crate) max_memory: usize,
    pub(crate) output_mark: usize,
    pub(crate) write_timeout: Duration,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_connection_age: Option<Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) tcp: TcpOptions,
    pub(crate) accept: Option<AcceptHook>,
}

impl Config {
    /// What would serve nobody.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.formats.is_empty() {
            return Err(BuildError::NoFormat);
        }
        let zeros = [
            ("head_timeout", self.head_timeout.is_zero()),
            ("max_head", self.max_head == 0),
            ("max_memory", self.max_memory == 0),
            ("write_timeout", self.write_timeout.is_zero()),
            ("ping_timeout", self.ping_timeout.is_zero()),
            ("max_connection_age", self.max_connection_age.is_some_and(|age| age.is_zero())),
        ];
        if let Some((setting, _)) = zeros.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(BuildError::Zero { setting });
        }
        let path = self.path.clone();
        if !can_be_asked_for(&path) {
            return Err(BuildError::Path { path });
        }
        #[cfg(feature = "debug-page")]
        if let Some(debug) = &self.debug_path {
            if *debug == path {
                return Err(BuildError::PathTwice { path });
            }
            if !can_be_asked_for(debug) {
                return Err(BuildError::Path { path: debug.clone() });
            }
        }
        Ok(())
    }
}

/// As a request's target is read: a query is not part of its path.
fn can_be_asked_for(path: &str) -> bool {
    path.starts_with('/') && Uri::try_from(path).is_ok_and(|target| target.path() == path)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.into(),
            #[cfg(feature = "debug-page")]
            debug_path: None,
            formats: Format::ALL.to_vec(),
            limits: Limits::default(),
            head_timeout: Duration::from_secs(10),
            max_head: MAX_HEAD,
            max_connections: 10_000,
            max_connections_per_address: None,
            max_memory: 1 << 30,
            output_mark: 1 << 20,
            write_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            max_connection_age: None,
            seed: None,
            tcp: TcpOptions::default(),
            accept: None,
        }
    }
}
