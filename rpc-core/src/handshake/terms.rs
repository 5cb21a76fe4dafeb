//! What the two heads agree on.

use std::ops::RangeInclusive;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::{
    RPC_FORMAT, RPC_MAX_CALLS, RPC_MAX_FRAME, RPC_MAX_STREAMS, RPC_VERSION, RPC_WINDOW, TitleCase, announced,
    escaped, write_header,
};
use crate::format::Format;
use crate::limits::{Limits, MAX_MAX_CALLS, MAX_WINDOW, MIN_MAX_FRAME, MIN_WINDOW};

const VERSION: &str = "1";

/// The format of a head without `Rpc-Format`.
pub(super) const DEFAULT_FORMAT: Format = Format::Bincode;

const MAX_FRAME_RANGE: RangeInclusive<u32> = MIN_MAX_FRAME..=u32::MAX;
const MAX_CALLS_RANGE: RangeInclusive<u32> = 1..=MAX_MAX_CALLS;
const WINDOW_RANGE: RangeInclusive<u32> = MIN_WINDOW..=MAX_WINDOW;
const MAX_STREAMS_RANGE: RangeInclusive<u32> = 0..=MAX_MAX_CALLS;

/// What a handshake settles, as one side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How bodies are encoded, in both directions.
    pub format: Format,
    /// What the other side is ready to take.
    pub limits: Limits,
}

/// Limits that no peer would accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {value}, but must be from {} to {}", .range.0, .range.1)]
pub struct LimitOutOfRange {
    what: &'static str,
    value: u32,
    range: (u32, u32),
}

/// Checks limits of one's own before they are announced: `max_frame` is from 65,536 to 4,294,967,295
/// bytes, `max_calls` from 1 to 65,536, `window` from 65,536 to 2,147,483,647 bytes, `max_streams` from 0 to
/// 65,536.
///
/// # Errors
///
/// When one of them lies outside; the text names it and its range.
pub fn check_limits(limits: Limits) -> Result<(), LimitOutOfRange> {
    for (what, value, range) in [
        ("max_frame", limits.max_frame, MAX_FRAME_RANGE),
        ("max_calls", limits.max_calls, MAX_CALLS_RANGE),
        ("window", limits.window, WINDOW_RANGE),
        ("max_streams", limits.max_streams, MAX_STREAMS_RANGE),
    ] {
        if !range.contains(&value) {
            return Err(LimitOutOfRange { what, value, range: range.into_inner() });
        }
    }
    Ok(())
}

/// The announced version, when it is not the one spoken here.
pub(super) fn foreign_version(headers: &HeaderMap) -> Result<Option<&[u8]>, String> {
    Ok(announced(headers, &RPC_VERSION)?.filter(|version| *version != VERSION.as_bytes()))
}

pub(super) fn read_limits(headers: &HeaderMap) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for (limit, name, range) in [
        (&mut limits.max_frame, &RPC_MAX_FRAME, MAX_FRAME_RANGE),
        (&mut limits.max_calls, &RPC_MAX_CALLS, MAX_CALLS_RANGE),
        (&mut limits.window, &RPC_WINDOW, WINDOW_RANGE),
        (&mut limits.max_streams, &RPC_MAX_STREAMS, MAX_STREAMS_RANGE),
    ] {
        if let Some(announced) = read_limit(headers, name, range)? {
            *limit = announced;
        }
    }
    Ok(limits)
}

fn read_limit(
    headers: &HeaderMap,
    name: &HeaderName,
    range: RangeInclusive<u32>,
) -> Result<Option<u32>, String> {
    let Some(value) = announced(headers, name)? else { return Ok(None) };
    match read_number(value).filter(|number| range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(format!(
            "{} must be a whole number from {} to {}, not \"{}\"",
            TitleCase(name),
            range.start(),
            range.end(),
            escaped(value)
        )),
    }
}

fn read_number(digits: &[u8]) -> Option<u32> {
    // `parse` alone would take a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The headers that every head of ours carries.
pub(super) fn terms_headers(formats: &[Format], limits: Limits) -> [(HeaderName, HeaderValue); 6] {
    // The names of formats are ASCII.
    let formats =
        HeaderValue::try_from(format_list(formats)).unwrap_or_else(|_| HeaderValue::from_static(""));
    [
        (RPC_VERSION, HeaderValue::from_static(VERSION)),
        (RPC_FORMAT, formats),
        (RPC_MAX_FRAME, limits.max_frame.into()),
        (RPC_MAX_CALLS, limits.max_calls.into()),
        (RPC_WINDOW, limits.window.into()),
        (RPC_MAX_STREAMS, limits.max_streams.into()),
    ]
}

/// The same, written.
pub(super) fn write_terms(formats: &[Format], limits: Limits, out: &mut Vec<u8>) {
    for (name, value) in terms_headers(formats, limits) {
        write_header(&name, value, out);
    }
}

/// The names in `Rpc-Format`, in their order.
pub(super) fn format_names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(RPC_FORMAT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

pub(super) fn format_list(formats: &[Format]) -> String {
    formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
}
