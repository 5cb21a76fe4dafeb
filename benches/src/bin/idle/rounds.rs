//! Round after round: every subject, a server and a client each time.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use benches::machine::Machine;
use benches::record::{Held, Idle, Record};
use benches::subject::Subject;

use crate::memory::{Memory, descriptors};
use crate::process::Process;
use crate::report;

/// The warm-up's short-lived memory is given back after this.
const WARM: Duration = Duration::from_secs(1);

/// The same after the last call; connections that a server would not keep are gone by then, too.
const SETTLE: Duration = Duration::from_secs(4);

/// What to measure.
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) json: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            connections: 9_000,
            rounds: 3,
            subjects: vec![Subject::Ours, Subject::Tarpc, Subject::Tonic],
            json: None,
        }
    }
}

/// What a connection keeps.
pub(crate) struct Round {
    pub(crate) subject: Subject,
    pub(crate) server: Memory,
    pub(crate) client: Memory,
}

impl Round {
    fn held(&self, round: usize) -> Held {
        let (server, client) = (self.server.resident * 1024.0, self.client.resident * 1024.0);
        Held { round, subject: self.subject.name().to_owned(), server, client }
    }
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    ensure!(plan.connections >= 1, "connections: at least 1");
    ensure!((1..=100).contains(&plan.rounds), "rounds: from 1 to 100");
    let (mut rounds, mut failures) = (Vec::new(), Vec::new());
    for number in 1..=plan.rounds {
        for subject in &plan.subjects {
            match measure(*subject, plan.connections) {
                Ok(round) => {
                    eprintln!("{}", report::progress(number, &round));
                    rounds.push((number, round));
                }
                Err(error) => {
                    let failure = format!("round {number}, {}: {error:#}", subject.name());
                    eprintln!("FAILED: {failure}");
                    failures.push(failure);
                }
            }
        }
    }
    let (connections, machine) = (plan.connections, Machine::here());
    let runs = rounds.iter().map(|(number, round)| round.held(number - 1)).collect();
    let measured = Idle { connections, rounds: plan.rounds, machine, runs, failures };
    let rounds: Vec<Round> = rounds.into_iter().map(|(_, round)| round).collect();
    println!("{}", report::table(plan, &rounds));
    let failed = measured.failures.len();
    if let Some(file) = &plan.json {
        Record::Idle(measured).write(file)?;
    }
    ensure!(failed == 0, "{failed} rounds have failed");
    Ok(())
}

fn measure(subject: Subject, connections: usize) -> Result<Round> {
    let name = subject.name();
    let mut server = Process::start(subject.program()?, &["serve", name])?;
    let told = server.line()?;
    let mut client = Process::start(
        subject.program()?,
        &["hold", name, &told, "--connections", &connections.to_string()],
    )?;
    ensure!(client.line()? == "warm", "the client has no first connection");
    sleep(WARM);
    let sides = [server.id(), client.id()];
    let before = (sides.map(Memory::of), descriptors(server.id())?);
    client.go_on()?;
    ensure!(client.line()? == "holding", "the client holds no connections");
    sleep(SETTLE);
    let after = (sides.map(Memory::of), descriptors(server.id())?);
    ensure!(
        after.1 == before.1 + connections,
        "the server has {} connections more than before, not {connections}",
        after.1 as i64 - before.1 as i64
    );
    let ([server_before, client_before], [server_after, client_after]) = (before.0, after.0);
    Ok(Round {
        subject,
        server: server_after?.per_connection(server_before?, connections),
        client: client_after?.per_connection(client_before?, connections),
    })
}
