//! net/rpc's `Arith` service, and what the programs in `src/bin` share.

mod answer;
pub mod attach;
mod expression;
mod lines;
mod program;

pub use answer::{Tally, answer_lines};
pub use expression::{Expression, Malformed};
pub use lines::{Line, Lines};
pub use program::{announce, asked_to_end, listen_address, run};

use rpc_core::{Context, Status};
use serde::{Deserialize, Serialize};

/// What both methods take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Args {
    /// The first number.
    pub a: i64,
    /// The second.
    pub b: i64,
}

/// What a division gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotient {
    /// How many times.
    pub quo: i64,
    /// What is left.
    pub rem: i64,
}

/// The contract. A crate of its own in a real project, which needs `rpc-core` alone.
#[rpc_core::service]
pub trait Arith {
    /// The product of two numbers.
    async fn multiply(&self, cx: &Context, args: Args) -> Result<i64, Status>;

    /// Quotient and remainder of two numbers.
    async fn divide(&self, cx: &Context, args: Args) -> Result<Quotient, Status>;
}

/// Implements [`Arith`].
#[derive(Clone, Copy, Debug)]
pub struct Calculator;

impl Arith for Calculator {
    async fn multiply(&self, _cx: &Context, Args { a, b }: Args) -> Result<i64, Status> {
        a.checked_mul(b).ok_or_else(|| Status::out_of_range("the product has over 64 bits"))
    }

    async fn divide(&self, _cx: &Context, Args { a, b }: Args) -> Result<Quotient, Status> {
        if b == 0 {
            return Err(Status::invalid_argument("divide by zero"));
        }
        let quo = a.checked_div(b).ok_or_else(|| Status::out_of_range("the quotient has over 64 bits"))?;
        Ok(Quotient { quo, rem: a.wrapping_rem(b) })
    }
}
