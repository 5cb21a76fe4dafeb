//! The client's process: warms up, says `measuring`, measures, prints one line of JSON.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benches::case::Case;
use benches::measure::{Cpu, Meter, Sample};
use benches::subject::Subject;
use tokio::time::sleep;

use crate::Flavour;

/// Connections are warm, buffers grown and names introduced after this.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a run may take beyond its time; then it is stuck, and ends.
const SPARE: Duration = Duration::from_secs(20);

pub(crate) fn run(subject: Subject, told: String, case: Case, seconds: f64, runtime: Flavour) -> Result<()> {
    let span = Duration::try_from_secs_f64(seconds)?;
    std::thread::spawn(move || {
        std::thread::sleep(WARM_UP + span + SPARE);
        eprintln!("stuck");
        std::process::exit(3);
    });
    let measured = runtime.build()?.block_on(async move {
        tokio::spawn(async move { measure(subject, &told, case, span).await }).await?
    });
    println!("{}", serde_json::to_string(&measured?)?);
    Ok(())
}

async fn measure(subject: Subject, told: &str, case: Case, span: Duration) -> Result<Sample> {
    let mut meter = Meter::new()?;
    let mut tasks = subject.drive(told, case.load(), &mut meter).await?;
    sleep(WARM_UP).await;
    println!("measuring");
    meter.forget_latencies();
    let (cpu, calls, began) = (Cpu::used()?, meter.calls(), Instant::now());
    sleep(span).await;
    let seconds = began.elapsed().as_secs_f64();
    let all_calls = meter.calls();
    let client = Cpu::used()?.since(cpu);
    if let Some(ended) = tasks.try_join_next() {
        ended??;
        bail!("a task ended early");
    }
    Ok(Sample {
        calls: all_calls - calls,
        seconds,
        client,
        p50: meter.latency(0.5),
        p99: meter.latency(0.99),
        all_calls,
    })
}
