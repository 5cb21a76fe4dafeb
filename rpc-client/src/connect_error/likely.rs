//! What a failure most likely comes from, in words for the person who has to find out.

use std::io::{self, ErrorKind};
use std::time::Duration;

use http::StatusCode;
use http::header::{LOCATION, SERVER};
use rpc_core::handshake::Refusal;

use super::{Attempts, ConnectError};

pub(super) const SILENCE: &str = "; is the host up, and does a firewall let the connection through?";
const NOBODY: &str = "; is the server running there?";
const NO_FILE: &str = "; is the server running, and the path right?";
const NOT_ALLOWED: &str = "; may this user connect there?";
const NO_WAY: &str = "; is the host up, and this machine on the right network?";

/// Characters of a header that are shown.
const SHOWN: usize = 64;

pub(super) fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown)
}

pub(super) fn dial_cause(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::ConnectionRefused => NOBODY,
        ErrorKind::TimedOut => SILENCE,
        ErrorKind::NotFound => NO_FILE,
        ErrorKind::PermissionDenied => NOT_ALLOWED,
        kind if is_unreachable(kind) => NO_WAY,
        _ => "",
    }
}

/// The cause that all addresses of a name have in common: with more than one, guesses would mislead.
pub(super) fn common_cause(attempts: &Attempts) -> &'static str {
    let mut causes = attempts.failed().iter().map(|attempt| match &attempt.error {
        ConnectError::DialTimeout { .. } => SILENCE,
        ConnectError::ConnectionRefused { source, .. }
        | ConnectError::Unreachable { source, .. }
        | ConnectError::Dial { source, .. } => dial_cause(source),
        _ => "",
    });
    let first = causes.next().unwrap_or_default();
    if causes.all(|cause| cause == first) { first } else { "" }
}

pub(super) fn closed(tls: bool, source: &io::Error) -> String {
    let tls = if tls { "" } else { ", or is this a port for TLS" };
    match source.kind() {
        ErrorKind::UnexpectedEof => {
            format!("the server closed the connection before it answered; is it full or shutting down{tls}?")
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => format!(
            "the connection was cut before there was an answer: {source}; is the server full or shutting \
             down{tls}?"
        ),
        _ => format!("the connection failed before there was an answer: {source}"),
    }
}

pub(super) fn silent(after: Duration) -> String {
    format!("connected, but no answer within {after:?}; is it an RPC server, and not overloaded?")
}

pub(super) fn refused(refusal: &Refusal, path: &str) -> String {
    format!("the server{} refused with {refusal}{}", server_name(refusal), refusal_cause(refusal, path))
}

pub(super) fn proxied(proxy: &str, answer: &Refusal) -> String {
    format!("a proxy in between{} answered {answer}; {}", bracketed(proxy), proxy_advice(answer))
}

pub(super) fn page(status: StatusCode, sender: &str) -> String {
    format!(
        "a web page came instead of an answer: {status}{}; is a proxy, a login page of the network or \
         another web server in the way?",
        bracketed(sender)
    )
}

/// ` (nginx)`: a server that tells its name is seldom one of ours.
fn server_name(refusal: &Refusal) -> String {
    let value = refusal.headers().get(SERVER).and_then(|value| value.to_str().ok());
    bracketed(&shortened(value.unwrap_or_default()))
}

pub(super) fn bracketed(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

fn refusal_cause(refusal: &Refusal, path: &str) -> String {
    let status = refusal.status();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; are the credentials right?".into(),
        StatusCode::NOT_FOUND => format!("; is the path {path} right?"),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            format!("; it is a web server that has no RPC at {path}")
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "; are the headers of this client too many or too large?".into()
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            "; is it full or shutting down?".into()
        }
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            "; it is a gateway that does not reach the server behind it".into()
        }
        StatusCode::REQUEST_TIMEOUT => "; is the network slow, or the server overloaded?".into(),
        _ if status.is_redirection() => {
            let to = refusal.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            format!("; redirections ({}) are not followed", shortened(to.unwrap_or("to nowhere")))
        }
        StatusCode::BAD_REQUEST
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::HTTP_VERSION_NOT_SUPPORTED => "; is it an RPC server?".into(),
        // Such as a hook of the server's may choose.
        _ => String::new(),
    }
}

fn proxy_advice(answer: &Refusal) -> &'static str {
    match answer.status() {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "it wants credentials of its own; can the server be reached without it?"
        }
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED => "is there a login page of the network to be passed?",
        _ => "does it let CONNECT through, and does it reach the server?",
    }
}

/// A header's text is ASCII without control characters, tabs excepted, and may be long.
fn shortened(text: &str) -> String {
    text.chars().take(SHOWN).filter(|letter| !letter.is_control()).collect()
}

/// For a time that was computed, whose nanoseconds nobody wants to read.
pub(super) fn rounded(time: Duration) -> String {
    let step = if time < Duration::from_secs(1) { 1 } else { 100 };
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let whole = Duration::from_millis(millis.saturating_add(step / 2) / step * step);
    format!("{whole:?}")
}

/// What the last error of the chain says: those before it say where it was met.
#[cfg(feature = "http2")]
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}
