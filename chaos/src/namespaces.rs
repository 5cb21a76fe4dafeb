//! Two networks and the router between them, in namespaces of their own.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

/// Where the server is.
pub(crate) const SERVER: [u8; 4] = [10, 0, 1, 2];

/// Three namespaces, removed when this is dropped. The names hold the pid, so that nobody else's are
/// touched.
pub(crate) struct Namespaces {
    pub(crate) server: String,
    client: String,
    router: String,
}

impl Namespaces {
    /// Makes them. Nothing is forwarded yet.
    pub(crate) fn create() -> Result<Self> {
        let name = |role| format!("chaos-{}-{role}", std::process::id());
        let namespaces = Self { server: name("server"), client: name("client"), router: name("router") };
        let Self { server, client, router } = &namespaces;
        for one in [server, client, router] {
            ip(&["netns", "add", one])?;
            ip(&["-n", one, "link", "set", "lo", "up"])?;
        }
        for (end, net) in [(server, 1), (client, 2)] {
            let (link, network) = (format!("to{net}"), format!("10.0.{net}"));
            ip(&["-n", router, "link", "add", &link, "type", "veth", "peer", "name", "up0", "netns", end])?;
            ip(&["-n", router, "address", "add", &format!("{network}.1/24"), "dev", &link])?;
            ip(&["-n", router, "link", "set", &link, "up"])?;
            ip(&["-n", end, "address", "add", &format!("{network}.2/24"), "dev", "up0"])?;
            ip(&["-n", end, "link", "set", "up0", "up"])?;
            ip(&["-n", end, "route", "add", "default", "via", &format!("{network}.1")])?;
        }
        Ok(namespaces)
    }

    /// Moves this thread to where the client is, for good. The switch of the router between.
    pub(crate) fn enter(&self) -> Result<Switch> {
        enter(&self.router)?;
        // It belongs to the namespace in which it is opened.
        let path = "/proc/sys/net/ipv4/ip_forward";
        let file = File::options().write(true).open(path).with_context(|| format!("cannot open {path}"))?;
        enter(&self.client)?;
        Ok(Switch(file))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.server, &self.client, &self.router] {
            // One that was never made is no loss.
            let _ = command(&["netns", "del", name]).stderr(Stdio::null()).status();
        }
    }
}

/// Whether the router forwards. While it does not, it drops what is not for itself without a word.
pub(crate) struct Switch(File);

impl Switch {
    pub(crate) fn forward(&self, on: bool) -> Result<()> {
        Ok(self.0.write_all_at(if on { b"1" } else { b"0" }, 0)?)
    }
}

/// ICMP messages that this thread's network has got.
pub(crate) fn icmp_messages() -> Result<u64> {
    let counters = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
    // A line of names and one of numbers; the first name is InMsgs.
    let numbers = counters.lines().filter_map(|line| line.strip_prefix("Icmp: ")).nth(1);
    let first = numbers.and_then(|numbers| numbers.split(' ').next());
    Ok(first.context("no ICMP counters")?.parse()?)
}

/// Why there can be no namespaces here.
pub(crate) fn obstacle() -> Option<String> {
    if !nix::unistd::Uid::effective().is_root() {
        return Some("network namespaces take root".into());
    }
    if command(&["-V"]).stdout(Stdio::null()).status().map_or(true, |status| !status.success()) {
        return Some("`ip` (package iproute2) is missing".into());
    }
    // Root in a container may still not be allowed to.
    let name = format!("chaos-{}-probe", std::process::id());
    let links = ["-n", &name, "link", "add", "up0", "type", "veth", "peer", "name", "up1"];
    let made = ip(&["netns", "add", &name]).and_then(|()| ip(&links));
    let _ = command(&["netns", "del", &name]).stderr(Stdio::null()).status();
    made.err().map(|error| format!("{error:#}"))
}

fn enter(name: &str) -> Result<()> {
    let place =
        File::open(format!("/var/run/netns/{name}")).with_context(|| format!("no namespace {name}"))?;
    setns(place, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {name}"))
}

fn ip(args: &[&str]) -> Result<()> {
    let output = command(args).output().context("cannot run ip")?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(args).stdin(Stdio::null());
    command
}
