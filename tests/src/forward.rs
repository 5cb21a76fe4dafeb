//! Forward proxies in this process, of a few lines: they read what a client must say, without hyper-util.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::read_head;

/// A proxy on a free port of the loopback address, to which all names are names of the same address.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
enum Speaks {
    Http { authorization: Option<&'static str> },
    Socks5 { credentials: Option<(&'static str, &'static str)> },
}

impl ForwardProxy {
    /// HTTP's CONNECT; with `authorization`, it takes only requests with this `Proxy-Authorization`.
    pub async fn http(authorization: Option<&'static str>) -> Self {
        Self::start(Speaks::Http { authorization }).await
    }

    /// SOCKS5; with `credentials`, it takes only that user with that password.
    pub async fn socks5(credentials: Option<(&'static str, &'static str)>) -> Self {
        Self::start(Speaks::Socks5 { credentials }).await
    }

    async fn start(speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = asked.clone();
        let task = tokio::spawn(async move {
            // They end with it.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(speaks, client, log.clone()));
            }
        });
        Self { address, asked, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `host:port` of each connection so far that had the right credentials.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it, with all connections through it.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn pass(speaks: Speaks, mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let to = match speaks {
        Speaks::Http { authorization } => http(&mut client, authorization).await?,
        Speaks::Socks5 { credentials } => socks5(&mut client, credentials).await?,
    };
    let Some((host, port)) = to else { return Ok(()) };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{host}:{port}"));
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    let answer: &[u8] = match (speaks, &server) {
        (Speaks::Http { .. }, Ok(_)) => b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n",
        (Speaks::Http { .. }, Err(_)) => b"HTTP/1.1 502 Bad Gateway\r\n\r\nno way there\n",
        (Speaks::Socks5 { .. }, Ok(_)) => &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0],
        (Speaks::Socks5 { .. }, Err(_)) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
    };
    client.write_all(answer).await?;
    if let Ok(mut server) = server {
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

type Place = Option<(String, u16)>;

async fn http(client: &mut TcpStream, authorization: Option<&str>) -> io::Result<Place> {
    let head = read_head(client).await;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let shown = lines.find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    if shown != authorization {
        let refusal =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\r\n";
        client.write_all(refusal).await?;
        return Ok(None);
    }
    let to = first.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    Ok(to.and_then(|to| to.rsplit_once(':')).and_then(|(host, port)| Some((host.into(), port.parse().ok()?))))
}

async fn socks5(client: &mut TcpStream, credentials: Option<(&str, &str)>) -> io::Result<Place> {
    let [_, count] = read(client).await?;
    let mut offered = vec![0; usize::from(count)];
    client.read_exact(&mut offered).await?;
    let wanted = if credentials.is_some() { 2 } else { 0 };
    if !offered.contains(&wanted) {
        client.write_all(&[5, 0xff]).await?;
        return Ok(None);
    }
    client.write_all(&[5, wanted]).await?;
    if let Some((user, password)) = credentials {
        let [_] = read(client).await?;
        let shown = (text(client).await?, text(client).await?);
        let is_right = shown == (user.to_owned(), password.to_owned());
        client.write_all(&[1, u8::from(!is_right)]).await?;
        if !is_right {
            return Ok(None);
        }
    }
    let [_, _, _, kind] = read(client).await?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(client).await?).to_string(),
        _ => text(client).await?,
    };
    let port = u16::from_be_bytes(read(client).await?);
    Ok(Some((host, port)))
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn text(client: &mut TcpStream) -> io::Result<String> {
    let [count] = read(client).await?;
    let mut bytes = vec![0; usize::from(count)];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
