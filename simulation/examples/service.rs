//! Your own service in a simulated network: turmoil has hosts, time and TCP; two small types make it
//! the way of client and server. A minute of simulated trouble takes milliseconds, and the same seed
//! gives the same trouble again.

use std::io;
use std::time::Duration;

use rpc_client::{Client, Connector};
use rpc_core::{Context, Executed, Peer, Status, service};
use rpc_server::{Listener, Server};
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

#[service]
trait Greeter {
    async fn greet(&self, cx: &Context, name: String) -> Result<String, Status>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, _cx: &Context, name: String) -> Result<String, Status> {
        sleep(Duration::from_millis(30)).await;
        Ok(format!("Good day, {name}"))
    }
}

/// The client's way to the host `server`.
struct ToServer;

impl Connector for ToServer {
    type Io = TcpStream;

    async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect("server:80").await
    }
}

/// Where the server listens on its host.
struct OnHost(TcpListener);

impl Listener for OnHost {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, from) = self.0.accept().await?;
        Ok((stream, from.into()))
    }
}

async fn serve() -> turmoil::Result {
    let listener = OnHost(TcpListener::bind("0.0.0.0:80").await?);
    Server::builder().register(GreeterServer::new(Polite)).serve(listener).await?;
    Ok(())
}

/// About two calls a second; one that has certainly not run is none to be sorry for.
async fn call() -> turmoil::Result {
    let client = Client::builder()
        .timeout(Duration::from_millis(300))
        // turmoil sends nothing twice: a connection that has lost a byte is dead until somebody asks.
        .ping_interval(Duration::from_secs(2))
        .ping_timeout(Duration::from_secs(1))
        .seed(7)
        .lazy_with(ToServer, "server:80");
    let greeter = GreeterClient::new(client);
    let (mut greeted, mut never_ran, mut in_doubt) = (0, 0, 0);
    for _ in 0..120 {
        match greeter.greet("world".into()).await {
            Ok(answer) => greeted += usize::from(answer == "Good day, world"),
            Err(error) if error.executed() == Executed::No => never_ran += 1,
            Err(error) => {
                println!("after {:?}: {error}", turmoil::elapsed());
                in_doubt += 1;
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
    println!("{greeted} greeted, {never_ran} never ran, {in_doubt} in doubt");
    assert!(greeted > 95 && greeted + never_ran + in_doubt == 120);
    Ok(())
}

fn main() -> turmoil::Result {
    let most = Duration::from_secs(120);
    let mut sim = turmoil::Builder::new().rng_seed(7).simulation_duration(most).build();
    sim.host("server", serve);
    sim.client("client", call());
    let trouble = |sim: &mut turmoil::Sim<'_>| match sim.elapsed().as_millis() {
        10_000 => sim.crash("server"),
        15_000 => sim.bounce("server"),
        30_000 => sim.partition("client", "server"),
        33_000 => sim.repair("client", "server"),
        _ => {}
    };
    while !sim.step()? {
        trouble(&mut sim);
    }
    Ok(())
}
