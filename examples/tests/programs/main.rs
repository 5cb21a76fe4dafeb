//! The programs, run as their users run them.

mod arith_client;
mod arith_server;
mod chat;
mod process;
mod running;
mod tail;
mod upload;
