//! The server with room for all of it, and what is put on.

use std::sync::LazyLock;

use anyhow::{Result, bail, ensure};
use benches::case::Load;
use benches::contract::Args;
use benches::curve::Curve;
use benches::drive::drive;
use benches::measure::{Meter, Tally};
use benches::ours::{self, Ours};
use benches::pair::Driving;
use benches::subject::{Serving, Subject};
use rpc_client::Client;
use rpc_core::{Context, Service, Status};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Calls in flight on a connection; by default there are 1,024, and callers wait for one of them to end.
const CALLS: u32 = 16_384;

/// The largest request and answer; by default 4 MiB.
const FRAME: u32 = 64 << 20;

static METHODS: LazyLock<Vec<String>> = LazyLock::new(|| (0..1000).map(|at| format!("M{at}")).collect());

static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| METHODS.iter().map(|method| format!("Many.{method}")).collect());

fn many() -> Service {
    METHODS.iter().fold(Service::new("Many"), |service, method| {
        service.method(&**method, |_: Context, args: Args| async move {
            Ok::<_, Status>(args.a.wrapping_mul(args.b))
        })
    })
}

pub(crate) async fn listen(subject: String) -> Result<Serving> {
    let address = "127.0.0.1:0";
    match &*subject {
        "floor" => Subject::Floor.listen(address).await,
        "ours" => {
            let listener = TcpListener::bind(address).await?;
            let told = listener.local_addr()?.to_string();
            let server =
                ours::builder().register(many()).concurrency_limit_per_connection(CALLS).max_frame(FRAME);
            let serve = Box::pin(async {
                server.serve(listener).await?;
                Ok(())
            });
            Ok(Serving { told, serve })
        }
        _ => bail!("no subject {subject}; there are ours and floor"),
    }
}

pub(crate) async fn start(subject: String, told: String, curve: Curve, at: usize) -> Result<Driving> {
    let mut meter = Meter::new()?;
    let tasks = match (&*subject, curve) {
        ("ours", Curve::Methods) => call_in_turn(&connect(told).await?, at, &mut meter)?,
        ("ours", _) => {
            let connect = move || {
                let connecting = connect(told.clone());
                async { Ok(Ours::from(connecting.await?)) }
            };
            drive(connect, Load::Calls(curve.calls(at)), &mut meter).await?
        }
        ("floor", Curve::Calls | Curve::Connections | Curve::Body) => {
            Subject::Floor.drive(&told, Load::Calls(curve.calls(at)), &mut meter).await?
        }
        _ => bail!("no curve {} of {subject}", curve.name()),
    };
    Ok(Driving { meter, tasks })
}

async fn connect(told: String) -> Result<Client> {
    Ok(Client::builder().max_frame(FRAME).connect(told).await?)
}

/// As many tasks as calls in flight, each of which calls one method after the other.
fn call_in_turn(client: &Client, methods: usize, meter: &mut Meter) -> Result<JoinSet<Result<()>>> {
    ensure!((1..=NAMES.len()).contains(&methods), "methods: from 1 to {}", NAMES.len());
    let mut tasks = JoinSet::new();
    for first in 0..Curve::Methods.calls(methods).in_flight {
        tasks.spawn(turn(client.clone(), first, methods, meter.tally(false)));
    }
    Ok(tasks)
}

async fn turn(client: Client, first: usize, methods: usize, mut tally: Tally) -> Result<()> {
    for name in NAMES[..methods].iter().cycle().skip(first % methods) {
        let product: i64 = client.call(&**name, Args { a: 7, b: 8 }).await?;
        ensure!(product == 56, "the answer is no product");
        tally.add(1);
    }
    Ok(())
}
