//! Headers that are kept for long and seldom looked at.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of the request that opened a connection, packed until they are first looked at; then there is a map as well.
///
/// As a map they would be a third of what an idle connection holds.
#[derive(Clone, Default)]
pub struct Headers {
    /// Of each a name, [`PLAIN`] or [`SENSITIVE`], a value and [`END`].
    packed: Box<[u8]>,
    map: OnceLock<Box<HeaderMap>>,
}

// Neither names nor values have any of these in them.
const PLAIN: u8 = 0;
const SENSITIVE: u8 = 1;
const END: u8 = b'\n';

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        let len = map.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let mut packed = Vec::with_capacity(len);
        for (name, value) in &map {
            packed.extend_from_slice(name.as_str().as_bytes());
            packed.push(if value.is_sensitive() { SENSITIVE } else { PLAIN });
            packed.extend_from_slice(value.as_bytes());
            packed.push(END);
        }
        Self { packed: packed.into(), map: OnceLock::new() }
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(self.packed.split(|byte| *byte == END).filter_map(unpack).collect()))
    }
}

fn unpack(pair: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let at = pair.iter().position(|byte| matches!(*byte, PLAIN | SENSITIVE))?;
    let mut value = HeaderValue::from_bytes(&pair[at + 1..]).ok()?;
    value.set_sensitive(pair[at] == SENSITIVE);
    Some((HeaderName::from_bytes(&pair[..at]).ok()?, value))
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, COOKIE};

    use super::*;

    #[test]
    fn what_was_packed_comes_out_as_it_was() {
        let mut map = HeaderMap::new();
        let mut secret = HeaderValue::from_static("Bearer: a b");
        secret.set_sensitive(true);
        map.append(AUTHORIZATION, secret);
        map.append(COOKIE, HeaderValue::from_static(""));
        map.append("x-list", HeaderValue::from_static(" one\t"));
        map.append("x-list", HeaderValue::from_bytes(b"\x80\xff").unwrap());
        let headers = Headers::from(map.clone());
        assert_eq!(*headers, map);
        assert!(headers[AUTHORIZATION].is_sensitive() && !headers[COOKIE].is_sensitive());
        assert!(!format!("{headers:?}").contains("Bearer"));
        assert!(Headers::default().is_empty() && Headers::from(HeaderMap::new()).is_empty());
    }
}
