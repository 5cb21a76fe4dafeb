//! The server's process: prints its address, and ends with its input.

use anyhow::Result;
use benches::subject::{Serving, Subject};
use tokio::runtime::Runtime;

use crate::process::end_with_input;

pub(crate) fn run(subject: Subject) -> Result<()> {
    end_with_input(|_| ());
    Runtime::new()?.block_on(async {
        let Serving { told, serve } = subject.listen("127.0.0.1:0").await?;
        println!("{told}");
        tokio::spawn(serve).await?
    })
}
