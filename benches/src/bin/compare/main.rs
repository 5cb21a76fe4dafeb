//! Our calls beside the hand-written floor and peers: `compare`, and what it starts, `compare serve` and
//! `compare drive`.

mod orchestrate;

use anyhow::{Result, bail};
use benches::case::Case;
use benches::machine::Machine;
use benches::measure::Meter;
use benches::pair::{Driving, drive, serve};
use benches::runtime::Flavour;
use benches::subject::Subject;
use lexopt::prelude::*;

use crate::orchestrate::Plan;

const USAGE: &str = "\
compare [--rounds N] [--seconds N] [--case NAME].. [--subject NAME].. [--json FILE]
        [--no-pin] [--runtime current|multi] [--wait SECONDS] [--tries N]
        [--syscalls]
compare serve SUBJECT [--listen ADDRESS] [--runtime current|multi]
compare drive SUBJECT ADDRESS --case NAME [--seconds N] [--runtime current|multi]";

fn main() -> Result<()> {
    let mut plan = Plan::default();
    let (mut cases, mut subjects, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let (mut runtime, mut listen) = (None, "127.0.0.1:0".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Long("seconds") => plan.seconds = parser.value()?.parse()?,
            Long("case") => cases.extend(cases_named(&parser.value()?.string()?)?),
            Long("subject") => subjects.extend(subjects_named(&parser.value()?.string()?)?),
            Long("json") => plan.json = Some(parser.value()?.into()),
            Long("pin") => plan.pin = true,
            Long("no-pin") => plan.pin = false,
            Long("runtime") => runtime = Some(parser.value()?.parse()?),
            Long("wait") => plan.wait = parser.value()?.parse()?,
            Long("tries") => plan.tries = parser.value()?.parse()?,
            Long("syscalls") => plan.syscalls = true,
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => {
                println!("{USAGE}\n\ncases: all {}", Case::ALL.map(Case::name).join(" "));
                let names: Vec<_> = Subject::ALL.iter().map(|subject| subject.name()).collect();
                println!("subjects: all {}", names.join(" "));
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
        (["serve", subject], _) => {
            let subject: Subject = subject.parse()?;
            serve(runtime.unwrap_or(Flavour::Current), subject.listen(&listen))
        }
        (["drive", subject, told], [case]) => {
            let (subject, told, case): (Subject, _, _) = (subject.parse()?, (*told).to_owned(), *case);
            drive(runtime.unwrap_or(Flavour::Current), plan.seconds, async move {
                let mut meter = Meter::new()?;
                let tasks = subject.drive(&told, case.load(), &mut meter).await?;
                Ok(Driving { meter, tasks })
            })
        }
        _ => bail!("{USAGE}"),
    }
}

fn cases_named(name: &str) -> Result<Vec<Case>> {
    Ok(if name == "all" { Case::ALL.to_vec() } else { vec![name.parse()?] })
}

/// `all` are those that can be measured here: net/rpc takes Go.
fn subjects_named(name: &str) -> Result<Vec<Subject>> {
    if name != "all" {
        return Ok(vec![name.parse()?]);
    }
    let go = Machine::here().go.is_some();
    Ok(Subject::ALL.iter().copied().filter(|subject| go || *subject != Subject::NetRpc).collect())
}
