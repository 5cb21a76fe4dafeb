//! The client's process: warms up, says `measuring`, measures, prints one line of JSON.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::measure::{Cpu, Meter, Sample};
use crate::runtime::Flavour;

/// Connections are warm, buffers grown and names introduced after this.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a run may take beyond its time; then it is stuck, and ends.
const SPARE: Duration = Duration::from_secs(20);

/// A load that has been put on: the tasks go on until they are dropped; one that ends has failed.
#[derive(Debug)]
pub struct Driving {
    /// Counts their calls.
    pub meter: Meter,
    /// What makes them.
    pub tasks: JoinSet<Result<()>>,
}

/// Measures what `start` puts on.
///
/// # Errors
/// When it cannot be put on, or ends.
pub fn drive<F>(runtime: Flavour, seconds: f64, start: F) -> Result<()>
where
    F: Future<Output = Result<Driving>> + Send + 'static,
{
    let span = Duration::try_from_secs_f64(seconds)?;
    std::thread::spawn(move || {
        std::thread::sleep(WARM_UP + span + SPARE);
        eprintln!("stuck");
        std::process::exit(3);
    });
    let measured = runtime
        .build()?
        .block_on(async move { tokio::spawn(async move { measure(start.await?, span).await }).await? });
    println!("{}", serde_json::to_string(&measured?)?);
    Ok(())
}

async fn measure(Driving { meter, mut tasks }: Driving, span: Duration) -> Result<Sample> {
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
