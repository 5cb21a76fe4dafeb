//! TLS handshakes that do not go on.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rpc_client::rustls::crypto::ring;
use rpc_client::rustls::{ClientConfig, ClientConnection};
use rpc_client::{Client, ClientTls, Roots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::server::{CERTIFICATE, KEY};
use crate::verdict::{Misses, Times, Verdict};
use crate::within;

/// A connect may take so many times as long as without them.
const MOST: f64 = 2.0;

/// What a handshake is given by default, and a little for machines that are busy.
const HANDSHAKE: Duration = Duration::from_secs(5);
const GONE: Duration = Duration::from_secs(8);

/// One in so many has said enough to be answered. More would be about computing, in which a debug build is slow.
const ANSWERED: usize = 10;

/// Connections that wait to be accepted at a time. The kernel keeps 128, and lets others try again after a second.
const BACKLOG: usize = 64;

/// Beside the stalled connections.
const OTHERS: u64 = 100;

/// Connects while so many handshakes are stalled, and compares it with connecting when there are none. One in ten of
/// them makes the server compute and answer; of the others, half have begun to speak.
pub(crate) async fn handshakes(stalled: usize, trials: usize) -> Result<Verdict> {
    println!("handshakes: {trials} clients connect over TLS while {stalled} handshakes do not go on");
    let enough = stalled as u64 + OTHERS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < enough {
        return Ok(Verdict::Skipped(format!("{enough} descriptors are needed, {hard} allowed")));
    }
    // The server inherits it.
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(enough), hard)?;

    let identity = Files::make()?;
    let server = Process::start_tls(&identity.directory).await?;
    let tls = ClientTls::new().roots(Roots::from_file(identity.directory.join(CERTIFICATE))?);
    let address = format!("https://localhost:{}", server.address.port());
    let baseline = server.owner().descriptors()?;
    // What is made once is not measured.
    connects(&address, &tls, 1).await?;
    let quiet = connects(&address, &tls, trials).await?;

    let mut misses = Misses::default();
    let began = Instant::now();
    let held = within(20, "all handshakes are begun", stall(&server, baseline, stalled)).await??;
    let made = began.elapsed();
    let meanwhile = connects(&address, &tls, trials).await?;
    if began.elapsed() >= HANDSHAKE {
        return Ok(Verdict::Skipped("this machine is too slow: the first of them had ended by then".into()));
    }
    let left = server.owner().come_back_to(baseline, GONE).await?;
    misses.expect(left <= baseline, || format!("{left} descriptors of the server, {baseline} before"));
    drop(held);

    let times = meanwhile.median().as_secs_f64() / quiet.median().as_secs_f64();
    misses.expect(times <= MOST, || format!("a connect took {times:.2} times as long, {MOST} at the most"));
    println!("  connects when there are none: {quiet}");
    println!("  connects beside them: {meanwhile}; {times:.2} times as long, {MOST} at the most");
    println!(
        "  begun within {made:.1?}; {left} descriptors of the server after their time, {baseline} before"
    );
    println!("  {}", if misses.is_empty() { "pass" } else { "fail" });
    Ok(Verdict::Seen(misses))
}

async fn connects(address: &str, tls: &ClientTls, trials: usize) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..trials {
        let builder = Client::builder().reconnect(false).tls(tls.clone());
        let began = Instant::now();
        let client = within(20, "a client is connected", builder.connect(address)).await??;
        times.push(began.elapsed());
        client.close().await?;
    }
    Ok(times)
}

async fn stall(server: &Process, baseline: usize, count: usize) -> Result<Vec<TcpStream>> {
    let hello = hello()?;
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(server.address).await?;
        let said = match number {
            _ if number % ANSWERED == 0 => hello.len(),
            _ if number % 2 == 0 => hello.len() / 2,
            _ => 0,
        };
        stream.write_all(&hello[..said]).await?;
        held.push(stream);
        if held.len() % BACKLOG == 0 || held.len() == count {
            while server.owner().descriptors()? < baseline + held.len() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    // What the server computes for them is not what is measured.
    for stream in held.iter_mut().step_by(ANSWERED) {
        ensure!(stream.read(&mut [0; 64]).await? > 0, "a server that does not answer");
    }
    Ok(held)
}

/// How a handshake begins.
fn hello() -> Result<Vec<u8>> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rpc_client::rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello)?;
    Ok(hello)
}

/// A certificate and its key, for `localhost`; gone with this.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn make() -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let directory = std::env::temp_dir().join(format!("chaos-tls-{}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let files = Self { directory };
        fs::write(files.directory.join(CERTIFICATE), cert.pem())?;
        fs::write(files.directory.join(KEY), signing_key.serialize_pem())?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
