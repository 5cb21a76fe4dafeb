//! What calls cost as one thing grows: `grow`, and what it starts, `grow serve` and `grow drive`.

mod load;
mod orchestrate;

use anyhow::{Result, bail};
use benches::curve::Curve;
use benches::descriptors;
use benches::pair::{drive, serve};
use benches::runtime::Flavour;
use lexopt::prelude::*;

use crate::orchestrate::Plan;

const USAGE: &str = "\
grow [--rounds N] [--seconds N] [--curve NAME].. [--json FILE] [--wait SECONDS] [--short]
grow serve ours|floor [--runtime current|multi]
grow drive ours|floor ADDRESS --curve NAME --at N [--seconds N] [--runtime current|multi]

curves: calls connections body methods callers";

fn main() -> Result<()> {
    let mut plan = Plan::default();
    let (mut curves, mut words) = (Vec::new(), Vec::new());
    let (mut runtime, mut at) = (Flavour::Current, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Long("seconds") => plan.seconds = parser.value()?.parse()?,
            Long("curve") => curves.push(parser.value()?.parse::<Curve>()?),
            Long("at") => at = Some(parser.value()?.parse()?),
            Long("json") => plan.json = Some(parser.value()?.into()),
            Long("wait") => plan.wait = parser.value()?.parse()?,
            Long("runtime") => runtime = parser.value()?.parse()?,
            Long("short") => plan = Plan { short: true, rounds: 1, seconds: 0.2, wait: 0.0, ..plan },
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if !curves.is_empty() {
        plan.curves.clone_from(&curves);
    }
    // Children inherit it, but `serve` and `drive` can be run by hand as well.
    descriptors::raise(plan.most_connections())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], &curves[..], at) {
        ([], _, None) => orchestrate::run(&plan),
        (["serve", subject], [], None) => serve(runtime, load::listen((*subject).to_owned())),
        (["drive", subject, told], [curve], Some(at)) => {
            let (subject, told) = ((*subject).to_owned(), (*told).to_owned());
            drive(runtime, plan.seconds, load::start(subject, told, *curve, at))
        }
        _ => bail!("{USAGE}"),
    }
}
