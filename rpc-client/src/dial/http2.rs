//! A connection on a stream of HTTP/2.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc_core::handshake::{AnswerError, Entry, read_answer};
use rpc_core::input::Input;
use rpc_io::Narrow;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{DialConfig, Dialled, Request};
use crate::connect_error::ConnectError;

/// As many streams as nobody allows: when the connection has another number, the server's settings have come, and whether
/// it knows extended CONNECT stands in them.
const NOT_SAID: usize = 1_000_003;

/// How often that is looked for, first and at the most: hyper wakes nobody when they come. Doubled each time.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// Of the body of a refusal that much is read, so long.
const BODY: (usize, Duration) = (4096, Duration::from_secs(1));

pub(super) type Io = Narrow<TokioIo<Upgraded>>;
type Asked = http::Request<Empty<Bytes>>;

/// What goes wrong on the way to an answer.
enum Failure {
    Http2(hyper::Error),
    Answer(AnswerError),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Http2(error)
    }
}

/// The request, when it asks by HTTP/2.
pub(super) fn request(scheme: Scheme, host: &Authority, path: &PathAndQuery, headers: HeaderMap) -> Asked {
    let mut uri = http::uri::Parts::default();
    (uri.scheme, uri.authority, uri.path_and_query) = (Some(scheme), Some(host.clone()), Some(path.clone()));
    let mut request = http::Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.version_mut() = Version::HTTP_2;
    // All three parts are there.
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    *request.headers_mut() = headers;
    request
}

impl DialConfig {
    /// Opens a connection of HTTP/2 for one stream, on which frames go.
    pub(super) async fn exchange_http2<IO>(
        &self,
        io: IO,
        request: Request<'_>,
        asked: Asked,
    ) -> Result<Dialled<Io>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |address: &str, error: hyper::Error| ConnectError::Http2 {
            address: address.to_owned(),
            source: io::Error::other(error),
        };
        let exchanged = timeout(self.answer_timeout, async {
            let response = ask(io, asked).await?;
            // hyper hands no other over.
            if response.status() == StatusCode::OK {
                let (head, body) = response.into_parts();
                let terms =
                    read_answer(Entry::Connect, head.clone(), "", &self.formats).map_err(Failure::Answer)?;
                let upgraded = hyper::upgrade::on(Response::from_parts(head, body)).await?;
                return Ok((upgraded, terms));
            }
            Err(Failure::Answer(self.refusal(response).await))
        });
        match exchanged.await {
            Ok(Ok((upgraded, terms))) => {
                let input = Input::new(self.limits.max_frame).with_spare(&rpc_io::SPARE);
                Ok(Dialled { io: Narrow::new(TokioIo::new(upgraded)), input, terms, own: self.limits })
            }
            Ok(Err(Failure::Http2(error))) => Err(failed(request.address, error)),
            Ok(Err(Failure::Answer(error))) => Err(self.answered(request, error)),
            Err(_) => Err(self.answered_late(request)),
        }
    }

    /// What an answer that is no acceptance says.
    async fn refusal(&self, response: Response<Incoming>) -> AnswerError {
        let (head, body) = response.into_parts();
        let status = head.status;
        let mut error = match read_answer(Entry::Connect, head, "", &self.formats) {
            Ok(_) => AnswerError::NotSwitched { status, sender: String::new() },
            Err(error) => error,
        };
        if let AnswerError::Refused(answer) | AnswerError::Proxy { answer, .. } = &mut error {
            let (most, within) = BODY;
            if let Ok(Ok(body)) = timeout(within, Limited::new(body, most).collect()).await {
                answer.read_body(&body.to_bytes());
            }
        }
        error
    }
}

/// Asks by extended CONNECT if the server has said that it knows it (RFC 8441, section 3), by plain CONNECT otherwise.
async fn ask<IO>(io: IO, mut asked: Asked) -> Result<Response<Incoming>, hyper::Error>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, mut connection) =
        builder.initial_max_send_streams(NOT_SAID).handshake(TokioIo::new(io)).await?;
    let (mut look, longest) = LOOK;
    while connection.current_max_send_streams() == NOT_SAID {
        if let Ok(ended) = timeout(look, &mut connection).await {
            ended?;
            break;
        }
        look = longest.min(look * 2);
    }
    if connection.is_extended_connect_protocol_enabled() {
        asked.extensions_mut().insert(Protocol::from_static("rpc"));
    }
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection of HTTP/2 ended");
        }
    });
    sender.send_request(asked).await
}
