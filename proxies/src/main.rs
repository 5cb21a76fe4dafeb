//! A service and a client on the two sides of a real proxy: what passes, what survives silence, and how calls end when
//! the proxy is killed. `scripts/proxies` starts the proxies.

mod checks;
mod service;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use nix::unistd::Pid;
use tokio::runtime::Runtime;

use crate::checks::Path;

const USAGE: &str = "\
Usage: proxies server         serves on a free port, and prints its address
       proxies port           prints a port that is free
       proxies check NAME     calls through a proxy, and kills it in the end
         --server ADDRESS     where the server is
         --proxy ADDRESS      where the proxy is
         --pid PID            the proxy's process
         --timeout SECONDS    after how much silence the proxy closes
         --forward            the proxy is a forward proxy: it is told where the server is
         --upgrade            it passes no CONNECT on, so that Upgrade is the way in

Prints a line for each check. Exits with 0 when all was as it has to be, 1 when it was not, 2 when asked wrongly.
";

#[derive(Default)]
struct Args {
    server: Option<SocketAddr>,
    proxy: Option<SocketAddr>,
    pid: Option<i32>,
    timeout: Option<u64>,
    forward: bool,
    upgrade: bool,
}

fn main() -> ExitCode {
    let (words, args) = match parse_args() {
        Ok(Some(parsed)) => parsed,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("proxies: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&words, args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("proxies {}: {error:#}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String], args: Args) -> Result<bool> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["port"] => {
            println!("{}", TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port());
            Ok(true)
        }
        ["server"] => Runtime::new()?.block_on(service::serve()).map(|()| true),
        ["check", name] => {
            let path = Path {
                name: name.to_owned(),
                server: args.server.context("--server is missing")?,
                proxy: args.proxy.context("--proxy is missing")?,
                pid: Pid::from_raw(args.pid.filter(|&pid| pid > 1).context("--pid is missing, or none")?),
                timeout: args.timeout.context("--timeout is missing")?,
                forward: args.forward,
                upgrade: args.upgrade,
            };
            Runtime::new()?.block_on(path.check())
        }
        _ => bail!("neither server, port nor check NAME"),
    }
}

fn parse_args() -> Result<Option<(Vec<String>, Args)>, lexopt::Error> {
    let (mut words, mut args) = (Vec::new(), Args::default());
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("server") => args.server = Some(parser.value()?.parse()?),
            Long("proxy") => args.proxy = Some(parser.value()?.parse()?),
            Long("pid") => args.pid = Some(parser.value()?.parse()?),
            Long("timeout") => args.timeout = Some(parser.value()?.parse()?),
            Long("forward") => args.forward = true,
            Long("upgrade") => args.upgrade = true,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some((words, args)))
}
