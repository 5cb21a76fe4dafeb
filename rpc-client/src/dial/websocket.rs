//! A connection through a WebSocket (RFC 6455).

use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderValue};
use rpc_core::handshake::{AnswerError, parse_request, parse_response, websocket_key};
use rpc_core::input::Input;
use rpc_io::Stream;
use rpc_io::websocket::{WebSocket, accept_key, generate_key};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{DialConfig, Dialled, Request};
use crate::connect_error::ConnectError;

/// What the request says beside `Upgrade`. The key is a new one each time.
pub(super) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Ok(key) = HeaderValue::try_from(generate_key()) {
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    headers
}

/// Whether the answer is one to this request, and not something that was kept from another.
pub(super) fn check(request: &[u8], answer: &[u8]) -> Result<(), AnswerError> {
    let answer = parse_response(answer)?;
    let wrong = |why: &str| AnswerError::Malformed(why.to_owned());
    let request = parse_request(request).map_err(|_| wrong("it answers no WebSocket"))?;
    let key = websocket_key(&request).map_err(|_| wrong("it answers no WebSocket"))?;
    match answer.headers.get(SEC_WEBSOCKET_ACCEPT) {
        Some(accept) if accept.as_bytes() == accept_key(key).as_bytes() => Ok(()),
        _ => Err(wrong("Sec-WebSocket-Accept does not fit the request's key")),
    }
}

impl DialConfig {
    /// Asks for a WebSocket, on which frames go. Whatever the transport, its connection is built once.
    pub(super) async fn exchange_websocket<IO>(
        &self,
        mut io: IO,
        request: Request<'_>,
    ) -> Result<Dialled<WebSocket<Stream>>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (terms, rest) = self.agree(&mut io, request).await?;
        let io = WebSocket::client(Stream::new(io, rest), []).await;
        let input = Input::new(self.limits.max_frame).with_spare(&rpc_io::SPARE);
        Ok(Dialled { io, input, terms, own: self.limits })
    }
}
