//! What figures were measured with.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::read_to_string;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The crates whose versions are told: the runtime's, and those that are measured.
const CRATES: [&str; 5] = ["tokio", "tarpc", "tonic", "protosocket-rpc", "capnp-rpc"];

/// The machine, the compilers and the crates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many CPUs this process may use.
    pub cpus: usize,
    /// The kernel's version.
    pub kernel: String,
    /// What `rustc --version` says.
    pub rustc: Option<String>,
    /// What `go version` says.
    pub go: Option<String>,
    /// Versions of crates, from the lock file.
    pub crates: BTreeMap<String, String>,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let release = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // What follows the number names a distribution's build.
        let kernel = release.trim().split('-').next().unwrap_or_default();
        Self {
            cpu: cpu.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {kernel}", std::env::consts::OS),
            rustc: said("rustc", "--version"),
            go: said("go", "version"),
            crates: versions(include_str!("../Cargo.lock")),
        }
    }
}

fn said(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn versions(lock: &str) -> BTreeMap<String, String> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(" = \"")?.strip_suffix('"')
        };
        Some((field("name")?, field("version")?))
    });
    let wanted = packages.filter(|(name, _)| CRATES.contains(name));
    wanted.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

/// One line.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}, {}", self.cpus, self.cpu, self.kernel)?;
        for compiler in [&self.rustc, &self.go].into_iter().flatten() {
            write!(f, ", {compiler}")?;
        }
        self.crates.iter().try_for_each(|(name, version)| write!(f, ", {name} {version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"bytes\"\nversion = \"1\"\n";
        assert_eq!(versions(lock), BTreeMap::from([("tokio".to_owned(), "1.2.3".to_owned())]));
        assert!(versions(include_str!("../Cargo.lock")).contains_key("tokio"));
    }
}
