//! Methods made from closures, and calls by name: no trait on either side.

use anyhow::ensure;
use rpc_client::Client;
use rpc_core::{Code, Context, Status};
use rpc_server::Server;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder()
        .register_fn("Text.Upper", |_cx: Context, text: String| async move {
            Ok::<_, Status>(text.to_uppercase())
        })
        // An error of the standard library becomes the call's status, with its text.
        .register_fn("Text.Parse", |_cx: Context, text: String| async move { text.parse::<i64>() });
    tokio::spawn(server.serve(listener).into_future());

    let client = Client::connect(address.to_string()).await?;
    let upper: String = client.call("Text.Upper", "quiet").await?;
    println!("{upper}");
    ensure!(upper == "QUIET");

    // Several calls on their way at once; awaited in any order.
    let numbers = ["1", "22", "333"].map(|text| client.start::<i64>("Text.Parse", text));
    let mut sum = 0;
    for number in numbers {
        sum += number.await?;
    }
    println!("{sum}");
    ensure!(sum == 356);

    for (method, code) in [("Text.Parse", Code::Unknown), ("Text.Lower", Code::Unimplemented)] {
        let Err(error) = client.call::<_, i64>(method, "LOUD").await else { anyhow::bail!("an answer") };
        println!("{error}");
        ensure!(error.status().map(Status::code) == Some(code));
    }
    Ok(())
}
