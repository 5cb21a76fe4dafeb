//! Client and server, unmodified, in worlds that one number decides: hosts, time, a network with
//! faults, calls.
//!
//! | file | about |
//! |---|---|
//! | [`plan`], [`script`], [`settings`], [`fault`] | a world, as its seed decides it |
//! | [`stage`], [`world`], [`network`], [`stream`], [`window`], [`actor`], [`service`], [`fleet`] | client and server in it, through `Connector` and `Listener` |
//! | [`journal`], [`oracle`] | what happened to each call at both ends, and whether that may be |
//! | [`campaign`], [`tally`], [`garden`] | many worlds; how often what happened; planted bugs (`rpc-core/src/planted.rs`) |
//! | `bin/schedules` | the client's `shared`, the core's `cancel` and `stream` under schedules of shuttle's |
//! | `bin/streams` | up to 50 streams on one connection, judged item by item at both ends |
//!
//! [`plan`] makes a world of a seed, [`world`] lets it happen, [`journal`] writes down what happened to
//! each call at both ends, and [`oracle`] says whether that may be. [`campaign`] runs many seeds;
//! [`garden`] plants bugs and waits for the oracle to find them.

#![forbid(unsafe_code)]

#[cfg(not(planted))]
compile_error!("run cargo inside simulation/, whose .cargo/config.toml has the flags that this needs");

pub mod actor;
pub mod campaign;
pub mod fault;
pub mod fleet;
pub mod garden;
pub mod journal;
pub mod network;
pub mod oracle;
pub mod plan;
pub mod script;
pub mod service;
pub mod settings;
pub mod stage;
pub mod stream;
pub mod streams;
pub mod tally;
pub mod window;
pub mod world;
