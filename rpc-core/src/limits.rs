//! The limits that each side announces in the handshake.

/// Bytes a frame's length field may name when the peer announced nothing: 4 MiB.
pub const DEFAULT_MAX_FRAME: u32 = 4 * 1024 * 1024;

/// Calls in flight that a peer takes when it announced nothing.
pub const DEFAULT_MAX_CALLS: u32 = 1024;

/// The smallest `max_frame` that can be announced: a frame must be able to carry a full method
/// name, the metadata of a call and a refusal's text.
pub const MIN_MAX_FRAME: u32 = 64 * 1024;

/// The largest `max_calls` that can be announced: a call id has 16 bits for the slot.
pub const MAX_MAX_CALLS: u32 = 1 << 16;

/// Bytes of items that each direction of a stream may carry before they are consumed, when the peer announced
/// nothing: 512 KiB. With 256 KiB one stream over loopback stood still half the time; with 1 MiB it was no faster, and
/// a call beside it waited twice as long.
pub const DEFAULT_WINDOW: u32 = 512 * 1024;

/// The smallest `window` that can be announced.
pub const MIN_WINDOW: u32 = 64 * 1024;

/// The largest `window` that can be announced.
pub const MAX_WINDOW: u32 = i32::MAX as u32;

/// Streams open at once that a peer takes when it announced nothing.
pub const DEFAULT_MAX_STREAMS: u32 = 256;

/// What one side is ready to take, announced in its head (`Rpc-Max-Frame`, `Rpc-Max-Calls`, `Rpc-Window`,
/// `Rpc-Max-Streams`).
///
/// The other side holds itself back, so that an honest peer is never refused for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest frame taken, in bytes behind the length field. Default 4 MiB.
    pub max_frame: u32,
    /// Most calls in flight at once. Default 1,024, at most 65,536.
    pub max_calls: u32,
    /// Bytes of items that a direction of a stream may carry before they are consumed; each counts 32 more.
    /// Default 512 KiB.
    pub window: u32,
    /// Most calls with streams at once, among the calls in flight. Default 256; 0: none.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: DEFAULT_MAX_FRAME,
            max_calls: DEFAULT_MAX_CALLS,
            window: DEFAULT_WINDOW,
            max_streams: DEFAULT_MAX_STREAMS,
        }
    }
}
