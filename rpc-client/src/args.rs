//! The arguments of a call, until nobody needs them any more.

use bytes::Bytes;
use rpc_core::Format;
use rpc_core::caller::Encode;
use rpc_core::format::EncodeError;

pub(crate) enum Args<A> {
    Value(A, Encode<A>),
    /// Encoded by `start`, in each format that the server may choose.
    Encoded(Vec<(Format, Bytes)>),
}

pub(crate) fn encode_apart<A>(
    format: Format,
    args: &A,
    encode: Encode<A>,
) -> Result<(Format, Bytes), EncodeError> {
    let mut body = Vec::new();
    if let Some(tail) = encode(format, args, &mut body)? {
        body.extend_from_slice(&tail);
    }
    Ok((format, body.into()))
}
