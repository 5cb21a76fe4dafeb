//! Our calls beside the hand-written floor: `compare`, and what it starts, `compare serve` and
//! `compare drive`.

mod drive;
mod noise;
mod orchestrate;
mod process;
mod report;
mod serve;

use anyhow::{Result, bail};
use benches::case::Case;
use benches::subject::Subject;
use lexopt::prelude::*;

use crate::orchestrate::Plan;

const USAGE: &str = "\
compare [--rounds N] [--seconds N] [--case NAME].. [--subject NAME].. [--json FILE]
        [--no-pin] [--runtime current|multi] [--wait SECONDS] [--tries N]
        [--syscalls]
compare serve SUBJECT [--listen ADDRESS] [--runtime current|multi]
compare drive SUBJECT ADDRESS --case NAME [--seconds N] [--runtime current|multi]

cases: one c64 c256 8x32 4kib 1mib wait connect; with streams: items64 quotes items64k beside bidi64
subjects: floor ours unix netrpc; with the feature `tls` also tls, with `peers` also tarpc protosocket capnp tonic,
          with both also tonic-tls. A case that a subject does not have is left out.";

/// The flavour of tokio's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// One thread.
    Current,
    /// As many as there are CPUs.
    Multi,
}

impl Flavour {
    fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Multi => "multi",
        }
    }

    fn build(self) -> Result<tokio::runtime::Runtime> {
        Ok(match self {
            Self::Current => tokio::runtime::Builder::new_current_thread(),
            Self::Multi => tokio::runtime::Builder::new_multi_thread(),
        }
        .enable_all()
        .build()?)
    }
}

fn flavour(name: &str) -> Result<Flavour> {
    match name {
        "current" => Ok(Flavour::Current),
        "multi" => Ok(Flavour::Multi),
        _ => bail!("no runtime {name}; there are current and multi"),
    }
}

fn main() -> Result<()> {
    let mut plan = Plan::default();
    let (mut cases, mut subjects, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let (mut runtime, mut listen) = (None, "127.0.0.1:0".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Long("seconds") => plan.seconds = parser.value()?.parse()?,
            Long("case") => cases.push(parser.value()?.parse::<Case>()?),
            Long("subject") => subjects.push(parser.value()?.parse::<Subject>()?),
            Long("json") => plan.json = Some(parser.value()?.into()),
            Long("pin") => plan.pin = true,
            Long("no-pin") => plan.pin = false,
            Long("runtime") => runtime = Some(flavour(&parser.value()?.string()?)?),
            Long("wait") => plan.wait = parser.value()?.parse()?,
            Long("tries") => plan.tries = parser.value()?.parse()?,
            Long("syscalls") => plan.syscalls = true,
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], &cases[..]) {
        ([], _) => {
            if !cases.is_empty() {
                plan.cases = cases;
            }
            if !subjects.is_empty() {
                plan.subjects = subjects;
            }
            // Two processes on a CPU each have no use for more threads.
            let natural = if plan.pin { Flavour::Current } else { Flavour::Multi };
            plan.runtime = runtime.unwrap_or(natural);
            orchestrate::run(&plan)
        }
        (["serve", subject], _) => serve::run(subject.parse()?, &listen, runtime.unwrap_or(Flavour::Current)),
        (["drive", subject, address], [case]) => {
            let runtime = runtime.unwrap_or(Flavour::Current);
            drive::run(subject.parse()?, (*address).to_owned(), *case, plan.seconds, runtime)
        }
        _ => bail!("{USAGE}"),
    }
}
