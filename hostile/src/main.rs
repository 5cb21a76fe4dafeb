//! Attackers, of servers and of clients: raw sockets that do what no honest peer does, to a process of its own, and
//! what that costs it and its other peers.

mod attack;
mod attacks;
mod client;
mod conform;
mod memory;
mod neighbour;
mod raw;
mod scene;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lexopt::prelude::*;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;

use crate::attack::{Attack, Trial};
use crate::attacks::ALL;

const USAGE: &str = "\
Usage: hostile all [--short]
       hostile ATTACK.. [--short]
       hostile list
       hostile conform ..      (the vectors of conformance/: see there)

Attacks servers, and clients, that are processes of their own, and says what was seen beside what may be.

  --short  smaller attacks: all of them in under three minutes

Exits with 0 when every limit held, 1 when one did not, 2 when asked wrongly.
";

/// An attack that hangs is a miss.
const LIMIT: Duration = Duration::from_secs(600);

struct Asked {
    attacks: Vec<&'static Attack>,
    short: bool,
}

fn main() -> ExitCode {
    if let Some(status) = conform::main() {
        return status;
    }
    let mut parser = lexopt::Parser::from_env();
    match parse(&mut parser) {
        Ok(Some(asked)) => attack(&asked),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("hostile: {error:#}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// `None` when that is all.
fn parse(parser: &mut lexopt::Parser) -> Result<Option<Asked>> {
    let mut asked = Asked { attacks: Vec::new(), short: false };
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut role = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => {
                print!("{USAGE}");
                return Ok(None);
            }
            Long("short") => asked.short = true,
            // What this program starts itself as.
            Long("listen" | "server") => address = parser.value()?.parse()?,
            Value(name) => match name.string()?.as_str() {
                "all" => asked.attacks.extend(ALL.iter().copied().flatten()),
                "list" => {
                    for attack in ALL.iter().copied().flatten() {
                        println!("{:24} {}", attack.name, attack.aim);
                    }
                    return Ok(None);
                }
                name @ ("server" | "client") => role = Some(name.to_owned()),
                name => {
                    let known = ALL.iter().copied().flatten().find(|attack| attack.name == name);
                    asked.attacks.push(known.with_context(|| format!("no attack {name}: see hostile list"))?);
                }
            },
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(role) = role {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        match role.as_str() {
            "client" => runtime.block_on(client::call(address))?,
            _ => runtime.block_on(server::serve(address))?,
        }
        return Ok(None);
    }
    anyhow::ensure!(!asked.attacks.is_empty(), "no ATTACK is named");
    Ok(Some(asked))
}

fn attack(asked: &Asked) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hostile: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    // For this process and those that it starts. Ten thousand peers want as many descriptors on either side.
    if let Err(error) = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most))
    {
        eprintln!("hostile: the limit of open files stays what it is: {error}");
    }
    let mut table = Vec::new();
    for attack in &asked.attacks {
        println!("{}: {}", attack.name, attack.aim);
        let (mut trial, began) = (Trial::new(asked.short), Instant::now());
        // On one thread: servers end with the thread that started them.
        let run = async { tokio::time::timeout(LIMIT, (attack.run)(&mut trial)).await };
        // What a broken server says may be more than the attacker can read.
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(run))) {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => trial.miss(&format!("{error:#}")),
            Ok(Err(_)) => trial.miss("it took too long"),
            Err(_) => trial.miss("it panicked"),
        }
        table.push((attack.name, trial.misses(), began.elapsed()));
    }
    println!("\n{:24} {:>8}  time", "attack", "misses");
    for (name, misses, took) in &table {
        println!("{name:24} {misses:>8}  {:.1} s", took.as_secs_f64());
    }
    match table.iter().all(|(_, misses, _)| *misses == 0) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
