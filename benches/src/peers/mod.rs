//! Other frameworks, set up as their own documentation says.

pub mod capnp;
pub mod protosocket;
pub mod tarpc;
pub mod tonic;
