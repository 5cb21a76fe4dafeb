//! Who answers in a server's place: proxies, and the login pages of networks.

use http::header::{PROXY_AUTHENTICATE, SERVER, VIA};
use http::{HeaderMap, HeaderName, StatusCode};

use super::headers::{TitleCase, escaped, media_type};

/// Headers that only a proxy writes, first the ones that tell which proxy it is.
const PROXY_HEADERS: [HeaderName; 4] = [
    VIA,
    HeaderName::from_static("proxy-agent"),
    HeaderName::from_static("x-squid-error"),
    PROXY_AUTHENTICATE,
];

/// The proxy that a refusal came from or through, if one did, as it [names itself](sender).
pub(super) fn proxy(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let statuses = [StatusCode::PROXY_AUTHENTICATION_REQUIRED, StatusCode::NETWORK_AUTHENTICATION_REQUIRED];
    let found = statuses.contains(&status) || PROXY_HEADERS.iter().any(|name| headers.contains_key(name));
    found.then(|| sender(headers))
}

/// The one header that says most about who sent an answer; empty when there is none.
pub(super) fn sender(headers: &HeaderMap) -> String {
    let mut names = PROXY_HEADERS.into_iter().chain([SERVER]);
    let named = names.find_map(|name| headers.get(&name).map(|value| (name, value)));
    named.map_or_else(String::new, |(name, value)| {
        format!("{}: {}", TitleCase(&name), escaped(value.as_bytes()))
    })
}

/// Tells a page for people from an acceptance, which has no type. A header of RPC's outweighs the type:
/// what stands in between may add one to what has none.
pub(super) fn is_web_page(headers: &HeaderMap) -> bool {
    let page = media_type(headers).is_some_and(|kind| {
        kind.eq_ignore_ascii_case(b"text/html") || kind.eq_ignore_ascii_case(b"application/xhtml+xml")
    });
    page && !headers.keys().any(|name| name.as_str().starts_with("rpc-"))
}
