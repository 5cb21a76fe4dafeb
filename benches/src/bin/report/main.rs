//! Tables, goals and plots from what `compare`, `idle` and `grow` have written: `report FILE.. --out DIR`.

mod goals;
mod plots;

use std::path::PathBuf;

use anyhow::{Result, bail};
use benches::record::{Comparison, Growth, Idle, Record};
use benches::table;
use lexopt::prelude::*;

const USAGE: &str = "report FILE.json.. --out DIR";

/// What was measured, by tool.
#[derive(Default)]
struct Measured {
    comparisons: Vec<Comparison>,
    idle: Vec<Idle>,
    growth: Vec<Growth>,
}

fn main() -> Result<()> {
    let (mut out, mut measured) = (None, Measured::default());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("out") => out = Some(PathBuf::from(parser.value()?)),
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(file) => match Record::read(&PathBuf::from(file))? {
                Record::Compare(comparison) => measured.comparisons.push(comparison),
                Record::Idle(idle) => measured.idle.push(idle),
                Record::Grow(growth) => measured.growth.push(growth),
            },
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(out) = out else { bail!("{USAGE}") };
    std::fs::create_dir_all(&out)?;
    let write = |name: &str, text: &str| std::fs::write(out.join(name), text);
    write("goals.md", &goals::table(&measured))?;
    write("comparison.md", &comparison(&measured))?;
    // Pinned figures are the steadier ones.
    let plotted = measured.comparisons.iter().find(|comparison| comparison.setting.pinned);
    if let Some(comparison) = plotted.or(measured.comparisons.first()) {
        write("comparison.svg", &plots::comparison(comparison)?)?;
    }
    if let Some(growth) = measured.growth.first() {
        write("growth.svg", &plots::growth(growth)?)?;
        let text = format!("{WRITTEN}# What calls cost as one thing grows\n\n{}", table::growth(growth));
        write(
            "growth.md",
            &text.replacen("###", "![The same, as curves](growth.svg)\n\n###", 1).replace("###", "##"),
        )?;
    }
    Ok(())
}

/// At the head of what is not to be changed by hand.
const WRITTEN: &str = "<!-- Written by scripts/compare. -->\n\n";

fn comparison(measured: &Measured) -> String {
    let mut text = format!(
        "{WRITTEN}# Calls beside a floor and peers\n\n\
         What is measured, and how, is said in [benches/README.md](../../benches/README.md). *Ratio to floor* is the \
         rate beside the floor's in the same round, and *ours ÷ this* is our rate beside this one's in the same \
         round: the larger, the faster we are.\n\n![Calls per CPU second](comparison.svg)\n"
    );
    for comparison in &measured.comparisons {
        let title = if comparison.setting.pinned { "Pinned" } else { "Not pinned" };
        let runtime = comparison.setting.runtime;
        let transports = if comparison.runs.iter().any(|run| run.subject == "unix") {
            ", TLS and Unix sockets"
        } else {
            ""
        };
        text += &format!(
            "\n## {title}, tokio's {runtime} runtime{transports}\n\n{}",
            table::comparison(comparison)
        );
    }
    for idle in &measured.idle {
        text += &format!("\n## Idle connections\n\n{}", table::idle(idle));
    }
    text
}
