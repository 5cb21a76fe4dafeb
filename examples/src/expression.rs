//! Lines such as `7 * 8` and `17 / 5`.

use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use crate::Args;

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expression {
    /// `a * b`
    Multiply(Args),
    /// `a / b`
    Divide(Args),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is not two numbers with an operator between them.
    Shape,
    /// That number is too large or too small.
    Range(String),
    /// It is longer than any expression.
    Long,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Shape => f.write_str("expected a number, * or /, and a number"),
            Malformed::Range(number) => write!(f, "{number} does not fit into 64 bits"),
            Malformed::Long => f.write_str("the line is too long for an expression"),
        }
    }
}

impl std::error::Error for Malformed {}

impl FromStr for Expression {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let at = text.find(['*', '/']).ok_or(Malformed::Shape)?;
        let (a, rest) = text.split_at(at);
        let args = Args { a: number(a)?, b: number(&rest[1..])? };
        Ok(if rest.starts_with('*') { Expression::Multiply(args) } else { Expression::Divide(args) })
    }
}

fn number(text: &str) -> Result<i64, Malformed> {
    let text = text.trim();
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Malformed::Range(text.into()),
        _ => Malformed::Shape,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_around_the_operator_are_optional() {
        let expected = Ok(Expression::Multiply(Args { a: -7, b: 8 }));
        assert_eq!("-7 * 8".parse(), expected);
        assert_eq!(" -7*8 ".parse(), expected);
        assert_eq!("17 / -5".parse(), Ok(Expression::Divide(Args { a: 17, b: -5 })));
    }

    #[test]
    fn everything_else_is_malformed() {
        for text in ["7 x 8", "7", "* 8", "7 *", "7 * 8 * 9", "7 / / 8", "1.5 * 2", "", "é * 1"] {
            assert_eq!(text.parse::<Expression>(), Err(Malformed::Shape), "{text:?}");
        }
        let number = "9223372036854775808";
        assert_eq!(format!("{number} * 1").parse::<Expression>(), Err(Malformed::Range(number.into())));
    }
}
