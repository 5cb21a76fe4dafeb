//! Where a head ends: found once, in time linear in its bytes, however they are sliced.

/// Default limit of a head, in bytes, its empty line and any empty lines before it included: 8 KiB.
pub const MAX_HEAD: usize = 8 * 1024;

/// Most header lines in a head.
pub const MAX_HEADERS: usize = 64;

/// Collects bytes until a head is whole.
///
/// A head ends with its first empty line; lines end with CRLF or a bare LF, mixed as they come.
/// Empty lines before the first line are tolerated (RFC 9112, section 2.2) and count against the
/// limit. Each byte is looked at once, and bytes behind the head not at all.
///
/// ```
/// use rpc_core::handshake::HeadBuffer;
///
/// let mut buffer = HeadBuffer::default();
/// assert!(buffer.push(b"CONNECT /_rpc_ HTTP/1.0\r\n").unwrap().is_none());
/// let whole = buffer.push(b"\r\n\x00\x00\x00\x09").unwrap().expect("the head is complete");
/// assert_eq!(whole.head, b"CONNECT /_rpc_ HTTP/1.0\r\n\r\n");
/// assert_eq!(whole.rest, b"\x00\x00\x00\x09");
/// ```
#[derive(Debug)]
pub struct HeadBuffer {
    limit: usize,
    held: Vec<u8>,
    end: EndFinder,
}

/// A head and what came behind it in the same slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeHead<'a> {
    /// The head, from the first byte that arrived to its empty line, both included.
    pub head: Vec<u8>,
    /// The tail of the slice that completed the head: the first bytes of the frames.
    pub rest: &'a [u8],
}

/// A head did not end within its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("head larger than {limit} bytes")]
pub struct HeadTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

impl HeadBuffer {
    /// An empty buffer for a head of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, held: Vec::new(), end: EndFinder::default() }
    }

    /// Takes the next bytes; returns the head once it is whole, and is then empty again.
    ///
    /// # Errors
    ///
    /// When the head does not end within the limit. The bytes behind the head do not count, so a
    /// peer may send any number of them along.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<WholeHead<'a>>, HeadTooLarge> {
        let room = self.limit - self.held.len();
        let (within, beyond) = bytes.split_at(room.min(bytes.len()));
        if let Some(end) = self.end.find(within) {
            let (last, rest) = bytes.split_at(end);
            self.held.extend_from_slice(last);
            self.end = EndFinder::default();
            return Ok(Some(WholeHead { head: std::mem::take(&mut self.held), rest }));
        }
        self.held.extend_from_slice(within);
        if beyond.is_empty() { Ok(None) } else { Err(HeadTooLarge { limit: self.limit }) }
    }

    /// What has arrived of the unfinished head, for [`check_first_bytes`](super::check_first_bytes)
    /// and error messages.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.held
    }

    /// True when nothing has arrived, which tells a peer that left from one that broke off.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    #[cfg(test)]
    pub(super) fn scanned(&self) -> usize {
        self.end.scanned
    }
}

impl Default for HeadBuffer {
    /// A buffer with the limit [`MAX_HEAD`].
    fn default() -> Self {
        Self::new(MAX_HEAD)
    }
}

/// Finds the end of a head. It is shown each byte once and keeps none, so it cannot scan again.
#[derive(Debug, Default)]
struct EndFinder {
    line: Line,
    /// A line that is not empty was seen, so the next empty one ends the head.
    started: bool,
    #[cfg(test)]
    scanned: usize,
}

/// What the current line holds so far.
#[derive(Debug, Default, PartialEq)]
enum Line {
    #[default]
    Nothing,
    CarriageReturn,
    Text,
}

impl EndFinder {
    /// The number of these bytes that belong to the head, when it ends among them.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            #[cfg(test)]
            {
                self.scanned += 1;
            }
            match byte {
                b'\n' if self.line == Line::Text => self.line = Line::Nothing,
                b'\n' if self.started => return Some(index + 1),
                b'\n' => self.line = Line::Nothing,
                b'\r' if self.line == Line::Nothing => self.line = Line::CarriageReturn,
                _ => {
                    self.line = Line::Text;
                    self.started = true;
                }
            }
        }
        None
    }
}
