//! The door where hyper reads and writes the heads.

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::ext::{Protocol, ReasonPhrase};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rpc_core::handshake::{Entry, Refusal, acceptance, hide_credentials, negotiate_terms};
use rpc_io::Narrow;
#[cfg(feature = "tls")]
use rpc_io::tls::tokio_rustls::server::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::decision::Entrance;
use super::{Door, Entered, by, shutting_down};
use crate::authorize::{foreign_page, is_foreign_page};
use crate::room::Place;
use crate::route::Request;
use crate::shutdown::Phase;

type Answer = Response<Full<Bytes>>;

impl Door {
    /// The answer to this head, behind which hyper hands the connection over.
    pub(crate) async fn answer_for_hyper(self, head: Parts, upgrade: OnUpgrade) -> Answer {
        let version = head.version;
        match self.accept_from_hyper(head, upgrade).await {
            Ok(accepted) => accepted,
            Err(refusal) => {
                tracing::debug!(status = refusal.status().as_u16(), message = refusal.message(), "refused");
                let mut refused = Response::<String>::from(refusal).map(Full::from);
                // What follows is no other request: it may be the body of this one, or frames.
                if version < Version::HTTP_2 {
                    *refused.version_mut() = version;
                    refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                refused
            }
        }
    }

    async fn accept_from_hyper(self, mut head: Parts, upgrade: OnUpgrade) -> Result<Answer, Refusal> {
        hide_credentials(&mut head.headers);
        let server = &self.server;
        // Before the look at the phase: a shutdown that begins behind it waits for this.
        let tracked = server.shutdown.connections.token();
        if server.shutdown.phase() != Phase::Serving {
            return Err(shutting_down());
        }
        let place = Place::take(server, self.peer.address).map_err(Refusal::service_unavailable)?;
        let deadline = Instant::now().checked_add(server.config.head_timeout);
        let (version, entry) = (head.version, self.entry_from_hyper(&head)?);
        let request = Request::new(head, self.peer.clone());
        if is_foreign_page(&request, &server.config.origins) {
            return Err(foreign_page());
        }
        // As `parse_request` does (RFC 9112, section 3.2).
        if request.head.headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Refusal::bad_request("Host given more than once"));
        }
        let terms = negotiate_terms(entry, &request.head, &server.config.formats)?;
        let entrance = self.admit(request, entry, terms, deadline).await?;
        let mut headers = acceptance(terms.format, server.config.limits);
        headers.extend(entrance.switching.clone());
        let answer = accepted(entry, version, headers);
        tokio::spawn(async move {
            let _tracked = tracked;
            // A client that does not take the acceptance is no reason to wait for ever.
            let upgrade = self.server.shutdown.cancel.run_until_cancelled(by(deadline, upgrade));
            let ended = match upgrade.await {
                Some(Ok(Ok(upgraded))) => self.serve_upgraded(upgraded, entrance, place).await,
                Some(Ok(Err(error))) => return tracing::debug!(%error, "the connection was not handed over"),
                Some(Err(_)) | None => return tracing::debug!("the connection was not handed over in time"),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, peer = %self.peer, "connection ended");
            }
        });
        Ok(answer)
    }

    fn entry_from_hyper(&self, head: &Parts) -> Result<Entry, Refusal> {
        let Some(entry) = Entry::of(head) else { return Err(Refusal::must_connect()) };
        let opens = |entry| self.server.config.upgrades.contains(&entry);
        match (entry, head.extensions.get::<Protocol>().map(Protocol::as_str)) {
            (Entry::Connect, Some("rpc")) => Ok(entry),
            // RFC 8441, section 5: what browsers do on a connection of HTTP/2 that they have.
            (Entry::Connect, Some("websocket")) if opens(Entry::WebSocket) => Ok(Entry::WebSocket),
            (Entry::Connect, Some(_)) => {
                // RFC 9220, section 3.
                Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "no such protocol here, only rpc"))
            }
            // `CONNECT host:port` is for proxies, and this is none. By HTTP/2 every request names its host.
            (Entry::Connect, _) if head.version < Version::HTTP_2 && head.uri.authority().is_some() => {
                Err(Refusal::not_found("nothing is dialled here"))
            }
            (Entry::Connect, _) => Ok(entry),
            _ if opens(entry) => Ok(entry),
            _ => Err(Refusal::must_connect()),
        }
    }

    /// Sets what this server's own listener would have set: axum leaves Nagle's algorithm on.
    fn tune(&self, io: &TcpStream) {
        if let Err(error) = self.server.config.tcp.apply(io) {
            tracing::debug!(%error, "socket options were not set");
        }
    }

    fn serve_upgraded(&self, upgraded: Upgraded, entrance: Entrance, place: Place) -> Entered {
        let upgraded = match raw::<TcpStream>(upgraded) {
            Ok((io, rest)) => {
                self.tune(&io);
                return self.serve_accepted(io, rest, entrance, place);
            }
            Err(upgraded) => upgraded,
        };
        #[cfg(unix)]
        let upgraded = match raw::<UnixStream>(upgraded) {
            Ok((io, rest)) => return self.serve_accepted(io, rest, entrance, place),
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = match raw::<TlsStream<TcpStream>>(upgraded) {
            Ok((io, rest)) => {
                self.tune(io.get_ref().0);
                return self.serve_accepted(io, rest, entrance, place);
            }
            Err(upgraded) => upgraded,
        };
        self.serve_accepted(Narrow::new(TokioIo::new(upgraded)), Bytes::new(), entrance, place)
    }
}

/// The transport itself, if it is of this kind, and what was read of it already.
fn raw<IO>(upgraded: Upgraded) -> Result<(IO, Bytes), Upgraded>
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // What looks at the first bytes for the version of HTTP, as axum has it, wraps it once more.
    let upgraded = match auto::upgrade::downcast::<TokioIo<IO>>(upgraded) {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    let parts = upgraded.downcast::<TokioIo<IO>>()?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

fn accepted(entry: Entry, version: Version, headers: http::HeaderMap) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.headers_mut() = headers;
    match entry.protocol() {
        Some(_) if version < Version::HTTP_2 => {
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        _ => _ = answer.extensions_mut().insert(ReasonPhrase::from_static(b"Connected")),
    }
    answer
}
