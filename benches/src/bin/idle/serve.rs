//! The server's process: prints its address, and ends with its input.

use anyhow::Result;
use benches::ours;
use benches::peers::{tarpc, tonic};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::process::end_with_input;
use crate::subject::Subject;

pub(crate) fn run(subject: Subject) -> Result<()> {
    end_with_input(|_| ());
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        match subject {
            Subject::Ours => tokio::spawn(ours::serve(listener)),
            Subject::Tarpc => tokio::spawn(tarpc::serve(listener)),
            Subject::Tonic => tokio::spawn(tonic::serve(listener)),
        }
        .await?
    })
}
