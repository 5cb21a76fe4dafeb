//! Items that tell which they are.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Which item of which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) stream: usize,
    /// From the client to the server.
    pub(crate) up: bool,
    pub(crate) index: usize,
    pub(crate) len: u32,
}

/// What a stream may carry.
pub(crate) trait Item: Serialize + DeserializeOwned + Send + Sync + Clone + 'static {
    fn at(place: Place) -> Self;

    /// Whether it is the item of that place, as far as it tells.
    fn is(&self, place: Place) -> bool;
}

/// Differs from place to place, so that neither items nor parts of them can be taken for others.
fn body(Place { stream, up, index, len }: Place) -> Bytes {
    let place = (stream as u64) << 40 | u64::from(up) << 32 | index as u64;
    let mut body = Vec::with_capacity(len as usize + 16);
    let mut word = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // Long runs of one word, but no run is like another.
    while body.len() < len as usize {
        let run = (len as usize - body.len()).div_ceil(8).min(512);
        body.extend_from_slice(&word.to_le_bytes().repeat(run));
        word = word.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
    }
    body.truncate(len as usize);
    body.into()
}

impl Item for Bytes {
    fn at(place: Place) -> Self {
        body(place)
    }

    fn is(&self, place: Place) -> bool {
        *self == body(place)
    }
}

/// An item with a head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Parcel {
    stream: u32,
    index: u32,
    len: u32,
    body: Bytes,
}

impl Item for Parcel {
    fn at(place: Place) -> Self {
        Self { stream: place.stream as u32, index: place.index as u32, len: place.len, body: body(place) }
    }

    fn is(&self, place: Place) -> bool {
        let head = (self.stream as usize, self.index as usize, self.len);
        head == (place.stream, place.index, place.len) && self.body == body(place)
    }
}

impl Item for () {
    fn at(_: Place) -> Self {}

    fn is(&self, place: Place) -> bool {
        place.len == 0
    }
}
