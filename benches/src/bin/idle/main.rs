//! What an idle connection keeps in memory, on the server and on the client, beside what it keeps
//! with other frameworks: `idle`, and what it starts, `idle serve` and `idle hold`.

mod hold;
mod memory;
mod process;
mod report;
mod rounds;
mod serve;

use anyhow::{Result, bail};
use benches::descriptors;
use benches::subject::Subject;
use lexopt::prelude::*;

use crate::rounds::Plan;

const USAGE: &str = "\
idle [--connections N] [--rounds N] [--subject NAME].. [--json FILE]
idle serve SUBJECT
idle hold SUBJECT ADDRESS [--connections N]

subjects: floor ours unix netrpc, with the feature `tls` also tls, with `peers` also tarpc protosocket tonic";

fn main() -> Result<()> {
    let mut plan = Plan::default();
    let (mut subjects, mut words) = (Vec::new(), Vec::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("connections") => plan.connections = parser.value()?.parse()?,
            Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Long("json") => plan.json = Some(parser.value()?.into()),
            Long("subject") => subjects.push(parser.value()?.parse::<Subject>()?),
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if !subjects.is_empty() {
        plan.subjects = subjects;
    }
    // Children inherit it, but `serve` and `hold` can be run by hand as well.
    descriptors::raise(plan.connections)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => rounds::run(&plan),
        ["serve", subject] => serve::run(subject.parse()?),
        ["hold", subject, told] => hold::run(subject.parse()?, told.to_owned(), plan.connections),
        _ => bail!("{USAGE}"),
    }
}
