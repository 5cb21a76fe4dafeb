//! Limits and times of a server.

use std::time::Duration;

use http::{HeaderValue, Uri};
use rpc_core::handshake::{DEFAULT_PATH, Entry, MAX_HEAD};
use rpc_core::{Format, Limits};
use rpc_io::TcpOptions;

use crate::authorize::Authorize;
use crate::error::BuildError;

/// See the methods of [`Builder`](crate::Builder), where each is documented.
pub(crate) struct Config {
    pub(crate) path: String,
    #[cfg(feature = "debug-page")]
    pub(crate) debug_hosts: Vec<String>,
    /// The ways in beside CONNECT.
    pub(crate) upgrades: Vec<Entry>,
    pub(crate) formats: Vec<Format>,
    pub(crate) limits: Limits,
    pub(crate) head_timeout: Duration,
    pub(crate) max_head: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: Option<usize>,
    pub(crate) frame_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) max_memory: usize,
    pub(crate) output_mark: usize,
    pub(crate) write_timeout: Duration,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_connection_age: Option<Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) tcp: TcpOptions,
    pub(crate) authorize: Vec<Authorize>,
    /// Of web pages that may open connections.
    pub(crate) origins: Vec<HeaderValue>,
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
            ("frame_timeout", self.frame_timeout.is_zero()),
            ("idle_timeout", self.idle_timeout.is_some_and(|time| time.is_zero())),
            ("call_timeout", self.call_timeout.is_some_and(|time| time.is_zero())),
            ("max_memory", self.max_memory == 0),
            ("write_timeout", self.write_timeout.is_zero()),
            ("ping_timeout", self.ping_timeout.is_zero()),
            ("max_connection_age", self.max_connection_age.is_some_and(|age| age.is_zero())),
        ];
        if let Some((setting, _)) = zeros.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(BuildError::Zero { setting });
        }
        check_path(&self.path)
    }
}

pub(crate) fn check_path(path: &str) -> Result<(), BuildError> {
    match can_be_asked_for(path) {
        true => Ok(()),
        false => Err(BuildError::Path { path: path.to_owned() }),
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
            debug_hosts: Vec::new(),
            upgrades: Vec::new(),
            formats: Format::ALL.to_vec(),
            limits: Limits::default(),
            head_timeout: Duration::from_secs(10),
            max_head: MAX_HEAD,
            max_connections: 10_000,
            max_connections_per_address: None,
            frame_timeout: Duration::from_secs(60),
            idle_timeout: None,
            call_timeout: None,
            max_memory: 1 << 30,
            output_mark: 1 << 20,
            write_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            max_connection_age: None,
            seed: None,
            tcp: TcpOptions::default(),
            authorize: Vec::new(),
            origins: Vec::new(),
        }
    }
}
