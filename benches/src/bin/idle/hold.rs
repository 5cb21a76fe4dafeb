//! The client's process: opens one connection and says `warm`; told to go on, opens the others and
//! says `holding`. It ends with its input.

use std::future::pending;

use anyhow::{Context, Result};
use benches::case::Load;
use benches::measure::Meter;
use benches::subject::Subject;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::process::end_with_input;

pub(crate) fn run(subject: Subject, told: String, connections: usize) -> Result<()> {
    let (go_on, mut to_go_on) = mpsc::channel(1);
    end_with_input(move |_| _ = go_on.blocking_send(()));
    Runtime::new()?.block_on(async {
        tokio::spawn(async move {
            let mut meter = Meter::new()?;
            let _first = subject.drive(&told, Load::Hold(1), &mut meter).await?;
            println!("warm");
            to_go_on.recv().await.context("no input")?;
            let _others = subject.drive(&told, Load::Hold(connections), &mut meter).await?;
            println!("holding");
            pending().await
        })
        .await?
    })
}
