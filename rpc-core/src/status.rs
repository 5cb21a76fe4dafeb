//! What a call can end with on the wire instead of a result.

use std::fmt;

use bytes::Bytes;

use crate::metadata::Metadata;

/// Why a call failed, in gRPC's sixteen names and numbers.
///
/// Source: <https://grpc.io/docs/guides/status-codes/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Code {
    /// The caller cancelled.
    Cancelled = 1,
    /// The handler failed with a plain error; net/rpc's `ServerError`.
    Unknown = 2,
    /// The arguments did not decode, or the handler refused them.
    InvalidArgument = 3,
    /// The deadline passed first.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists already.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A limit was reached.
    ResourceExhausted = 8,
    /// The system is not in the state that the call needs.
    FailedPrecondition = 9,
    /// Given up because of a conflict.
    Aborted = 10,
    /// Past the valid range.
    OutOfRange = 11,
    /// No such service or method.
    Unimplemented = 12,
    /// The handler panicked, or its answer could not be encoded.
    Internal = 13,
    /// Not now; worth another try.
    Unavailable = 14,
    /// Data was lost for good.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

const CODES: [Code; 16] = [
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

impl Code {
    /// The code of that number; numbers from elsewhere read as [`Code::Unknown`].
    #[must_use]
    pub fn from_wire(number: u8) -> Self {
        usize::from(number).checked_sub(1).and_then(|at| CODES.get(at)).copied().unwrap_or(Code::Unknown)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether the handler of a failed call may have run.
///
/// `No` is said only when it is certain: such a call can be made again elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Executed {
    /// It has not started and never will.
    No,
    /// Nobody can tell.
    Maybe,
    /// It has started.
    Yes,
}

impl Executed {
    pub(crate) const fn from_wire(number: u8) -> Self {
        match number {
            0 => Executed::No,
            2 => Executed::Yes,
            _ => Executed::Maybe,
        }
    }

    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Executed::No => 0,
            Executed::Maybe => 1,
            Executed::Yes => 2,
        }
    }
}

/// The failure of a call, as it crosses the wire.
///
/// A handler returns one; the caller receives it whole. Through `?`, every `std::error::Error` that a
/// handler meets becomes [`Code::Unknown`] with its text, as in net/rpc; that is why `Status` itself is
/// not one (as with `anyhow::Error`). What is no `Error` goes through [`from_display`](Self::from_display).
///
/// ```
/// use rpc_core::{Code, Status};
///
/// fn parse(text: &str) -> Result<i64, Status> {
///     Ok(text.parse::<i64>()?)
/// }
/// assert_eq!(parse("x").unwrap_err().code(), Code::Unknown);
/// assert_eq!(parse("x").unwrap_err().message(), "invalid digit found in string");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Status {
    code: Code,
    executed: Executed,
    message: String,
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Extra {
    details: Bytes,
    metadata: Metadata,
}

impl Status {
    /// A status with this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, executed: Executed::Yes, message: message.into(), extra: None }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the handler may have run. What a handler returns is always [`Executed::Yes`].
    #[must_use]
    pub fn executed(&self) -> Executed {
        self.executed
    }

    /// Bytes for a program, in an encoding that caller and handler agreed on; empty by default.
    #[must_use]
    pub fn details(&self) -> &[u8] {
        self.extra.as_ref().map_or(&[], |extra| &extra.details)
    }

    /// The metadata that came with the answer; empty by default.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        static NONE: Metadata = Metadata::EMPTY;
        self.extra.as_ref().map_or(&NONE, |extra| &extra.metadata)
    }

    /// Adds details for a program.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<Bytes>) -> Self {
        self.extra.get_or_insert_default().details = details.into();
        self
    }

    /// Says whether the handler may have run. A server overwrites it for what handlers return.
    #[must_use]
    pub fn with_executed(mut self, executed: Executed) -> Self {
        self.executed = executed;
        self
    }

    pub(crate) fn with_metadata(mut self, metadata: Metadata) -> Self {
        if !metadata.is_empty() {
            self.extra.get_or_insert_default().metadata = metadata;
        }
        self
    }
}

macro_rules! constructors {
    ($($name:ident => $code:ident),* $(,)?) => {
        impl Status {
            $(
                #[doc = concat!("A [`Code::", stringify!($code), "`] with this text.")]
                pub fn $name(message: impl Into<String>) -> Self {
                    Self::new(Code::$code, message)
                }
            )*
        }
    };
}

constructors! {
    cancelled => Cancelled,
    unknown => Unknown,
    invalid_argument => InvalidArgument,
    deadline_exceeded => DeadlineExceeded,
    not_found => NotFound,
    already_exists => AlreadyExists,
    permission_denied => PermissionDenied,
    resource_exhausted => ResourceExhausted,
    failed_precondition => FailedPrecondition,
    aborted => Aborted,
    out_of_range => OutOfRange,
    unimplemented => Unimplemented,
    internal => Internal,
    unavailable => Unavailable,
    data_loss => DataLoss,
    unauthenticated => Unauthenticated,
}

impl Status {
    /// A [`Code::Unknown`] with the text of anything that has one: an `anyhow::Error` (with
    /// `{error:#}`, its causes too), a boxed error, a `String`, which `?` does not turn into one.
    ///
    /// ```
    /// use rpc_core::Status;
    ///
    /// let boxed: Box<dyn std::error::Error + Send + Sync> = "no such file".into();
    /// assert_eq!(Status::from_display(boxed).message(), "no such file");
    /// ```
    pub fn from_display(error: impl fmt::Display) -> Self {
        Self::unknown(error.to_string())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Status {
    fn from(error: E) -> Self {
        Status::unknown(error.to_string())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Status");
        out.field("code", &self.code).field("executed", &self.executed).field("message", &self.message);
        if let Some(extra) = &self.extra {
            out.field("details", &extra.details).field("metadata", &extra.metadata);
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_from_their_numbers_and_others_are_unknown() {
        for code in CODES {
            assert_eq!(Code::from_wire(code.to_wire()), code);
        }
        assert_eq!((Code::from_wire(0), Code::from_wire(17)), (Code::Unknown, Code::Unknown));
    }

    #[test]
    fn a_status_is_small_enough_to_travel_in_results() {
        assert!(size_of::<Status>() <= 40, "{}", size_of::<Status>());
    }
}
