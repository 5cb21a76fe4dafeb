//! A fixed script of calls through both state machines, in memory: no socket, no runtime, no clock,
//! so that instructions and allocations can be counted to the last digit. `scripts/guard` does.
//!
//! `script CLASS CALLS` prints what each side allocated. Of a stream each item is a call.

mod calls;
mod client;
mod server;
mod streams;
mod wire;

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use benches::counting::{Counting, Side, allocations, enter};
use rpc_core::Format;
use rpc_core::output::Output;

use calls::{Calls, Class};
use client::Client;
use server::Server;
use streams::{Download, Upload};
use wire::Wire;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FORMAT: Format = Format::Bincode;

/// The client's turn. A function of its own, never merged into another: the guard counts the
/// instructions between its first and its last.
#[inline(never)]
fn client_half<'a>(client: &'a mut dyn Client, came: &[u8]) -> Result<Option<&'a mut Output>> {
    client.turn(came)
}

/// The server's turn. See [`client_half`] for why it stands alone.
#[inline(never)]
fn server_half<'a>(server: &'a mut Server, came: &[u8]) -> Result<&'a mut Output> {
    server.turn(came)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [class, calls] = &arguments[..] else { bail!("script small|body|large|adorned|items|upload CALLS") };
    let (calls, now) = (calls.parse()?, Instant::now());
    ensure!(calls <= 10_000_000, "too many calls");
    let mut client: Box<dyn Client> = match &**class {
        "small" => Box::new(Calls::new(Class::Small, calls, now)?),
        "body" => Box::new(Calls::new(Class::Body, calls, now)?),
        "large" => Box::new(Calls::new(Class::Large, calls, now)?),
        "adorned" => Box::new(Calls::new(Class::Adorned, calls, now)?),
        "items" => Box::new(Download::new(calls, now)?),
        "upload" => Box::new(Upload::new(calls, now)?),
        other => bail!("no class {other}"),
    };
    let (mut server, mut wire) = (Server::new(now), Wire::default());
    // A turn makes a call at least, but for the first and the last ones of a stream.
    for _ in 0..calls + 10 {
        enter(Side::Client);
        let sent = client_half(&mut *client, wire.bytes())?;
        enter(Side::Neither);
        let Some(sent) = sent else {
            println!("client {}\nserver {}", allocations(Side::Client), allocations(Side::Server));
            return Ok(());
        };
        wire.carry(sent);
        enter(Side::Server);
        let sent = server_half(&mut server, wire.bytes())?;
        enter(Side::Neither);
        wire.carry(sent);
    }
    bail!("both sides wait")
}
