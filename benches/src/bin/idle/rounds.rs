//! Round after round: every subject, a server and a client each time.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
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
}

impl Default for Plan {
    fn default() -> Self {
        Self { connections: 9_000, rounds: 3, subjects: vec![Subject::Ours, Subject::Tarpc, Subject::Tonic] }
    }
}

/// What a connection keeps.
pub(crate) struct Round {
    pub(crate) subject: Subject,
    pub(crate) server: Memory,
    pub(crate) client: Memory,
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    ensure!(plan.connections >= 1, "connections: at least 1");
    ensure!((1..=100).contains(&plan.rounds), "rounds: from 1 to 100");
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        for subject in &plan.subjects {
            let round = measure(*subject, plan.connections)?;
            eprintln!("{}", report::progress(number, &round));
            rounds.push(round);
        }
    }
    println!("{}", report::table(plan, &rounds));
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
