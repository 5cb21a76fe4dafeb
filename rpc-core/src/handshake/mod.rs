//! The HTTP heads that open a connection.
