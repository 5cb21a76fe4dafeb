mod errors;
mod golden;
mod guard;
mod hostile;
mod property;
mod shared;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, EncodeError, Format};
use crate::body::Body;

fn encode<T: Serialize + ?Sized>(format: Format, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    format.encode(value, &mut out).expect("the value can be encoded");
    out
}

fn decode<T: DeserializeOwned + 'static>(format: Format, body: &[u8]) -> Result<T, DecodeError> {
    format.decode(Body::Borrowed(body))
}

/// Runs `test` on the stack that threads have by default.
fn on_a_default_stack<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(test);
    thread.expect("a thread starts").join().expect("the test does not panic")
}
