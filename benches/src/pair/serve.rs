//! The server's process: prints its address, then its CPU time for every line it reads, and ends
//! with its input.

use std::io::BufRead;

use anyhow::Result;

use crate::measure::Cpu;
use crate::runtime::Flavour;
use crate::subject::Serving;

/// Serves what `listen` makes.
///
/// # Errors
/// When it cannot.
pub fn serve(runtime: Flavour, listen: impl Future<Output = Result<Serving>>) -> Result<()> {
    // Asleep but for the questions; its own thread, so that they do not wait for calls.
    std::thread::spawn(|| {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            match Cpu::used().and_then(|used| Ok(serde_json::to_string(&used)?)) {
                Ok(line) => println!("{line}"),
                Err(_) => break,
            }
        }
        std::process::exit(0);
    });
    runtime.build()?.block_on(async {
        let Serving { told, serve } = listen.await?;
        println!("{told}");
        // Spawned, because the future given to block_on is woken in another way than tasks are.
        tokio::spawn(serve).await?
    })
}
