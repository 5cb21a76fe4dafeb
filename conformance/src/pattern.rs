//! Bytes as vectors write them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

/// The ids that a client has chosen for its calls.
pub(crate) type Ids = BTreeMap<u32, u64>;

/// More than any vector needs.
const MOST: usize = 1 << 27;

/// Bytes, of which some may be left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// `??`
    Any,
    /// `!00`
    Not(u8),
    /// `..`
    Rest,
    /// `$1`
    Id(u32),
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            ensure!(pieces.last() != Some(&Piece::Rest), "something stands behind ..");
            let (piece, behind) = match first {
                '"' => repeated(quoted(rest)?)?,
                // What is repeated may have repetitions in it, but no parentheses.
                '(' => {
                    let (inner, behind) = rest[1..].split_once(')').context("no ) at the end")?;
                    repeated((Self::parse(inner)?.bytes(&Ids::new())?, behind))?
                }
                '!' => {
                    let (digits, behind) = split(&rest[1..], |letter| letter.is_ascii_hexdigit());
                    ensure!(digits.len() == 2, "one byte stands behind !");
                    (Piece::Not(hex(digits)?[0]), behind)
                }
                '?' => (Piece::Any, rest.strip_prefix("??").context("a single ?")?),
                '.' => (Piece::Rest, rest.strip_prefix("..").context("a single .")?),
                '$' => {
                    let (number, behind) = split(&rest[1..], |letter| letter.is_ascii_digit());
                    (Piece::Id(number.parse().context("a $ without the number of a call")?), behind)
                }
                _ => {
                    let (digits, behind) = split(rest, |letter| letter.is_ascii_hexdigit());
                    ensure!(!digits.is_empty(), "{first:?} is neither hex nor anything else");
                    repeated((hex(digits)?, behind))?
                }
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Bytes(before)), Piece::Bytes(bytes)) => before.extend(bytes),
                (_, piece) => pieces.push(piece),
            }
            rest = behind.trim_start();
        }
        Ok(Self(pieces))
    }

    /// The bytes, when none is left open.
    pub(crate) fn bytes(&self, ids: &Ids) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(more) => bytes.extend_from_slice(more),
                Piece::Id(call) => bytes.extend(id(*call, ids)?.to_be_bytes()),
                Piece::Any | Piece::Not(_) | Piece::Rest => bail!("?? and !00 and .. cannot be sent"),
            }
        }
        Ok(bytes)
    }

    /// Fails when the bytes are others.
    pub(crate) fn check(&self, bytes: &[u8], ids: &Ids) -> Result<()> {
        let mut at = 0;
        for piece in &self.0 {
            let wanted = match piece {
                Piece::Rest => return Ok(()),
                Piece::Any => {
                    ensure!(at < bytes.len(), "it ends after {at} bytes");
                    at += 1;
                    continue;
                }
                Piece::Not(unwanted) => {
                    ensure!(
                        bytes.get(at).is_some_and(|byte| byte != unwanted),
                        "byte {at} is {unwanted:02x}"
                    );
                    at += 1;
                    continue;
                }
                Piece::Bytes(wanted) => wanted.clone(),
                Piece::Id(call) => id(*call, ids)?.to_be_bytes().to_vec(),
            };
            let found = bytes.get(at..).unwrap_or_default();
            let same = found.iter().zip(&wanted).take_while(|(found, wanted)| found == wanted).count();
            ensure!(same == wanted.len(), "it differs from byte {} on", at + same);
            at += wanted.len();
        }
        ensure!(at == bytes.len(), "{} bytes more than expected", bytes.len() - at);
        Ok(())
    }

    /// Which kind of frame it is about.
    pub(crate) fn kind(&self) -> Option<u8> {
        let mut at = 0;
        for piece in &self.0 {
            at += match piece {
                Piece::Bytes(bytes) if bytes.len() > 4 - at => return Some(bytes[4 - at]),
                Piece::Bytes(bytes) => bytes.len(),
                Piece::Any if at < 4 => 1,
                _ => return None,
            };
        }
        None
    }
}

/// Bytes as a line for the tested client has them.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>> {
    Pattern::parse(text)?.bytes(&Ids::new())
}

/// The same, to be read.
pub(crate) fn show(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".into(),
        [first, ..] if bytes.len() > 8 && bytes.iter().all(|byte| byte == first) => {
            format!("{first:02x}*{}", bytes.len())
        }
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn id(call: u32, ids: &Ids) -> Result<u64> {
    ids.get(&call).copied().with_context(|| format!("call {call} was not requested yet"))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

fn hex(digits: &str) -> Result<Vec<u8>> {
    ensure!(digits.len().is_multiple_of(2), "half a byte in {digits}");
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}

/// The text in quotes, and what stands behind it.
fn quoted(text: &str) -> Result<(Vec<u8>, &str)> {
    let mut bytes = Vec::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        let letter = match letter {
            '"' => return Ok((bytes, &text[at + 1..])),
            '\\' => match letters.next().map(|(_, letter)| letter) {
                Some('r') => '\r',
                Some('n') => '\n',
                Some(letter @ ('"' | '\\')) => letter,
                _ => bail!("only \\r \\n \\\" and \\\\ are known"),
            },
            letter => letter,
        };
        bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    bail!("no quote at the end");
}

/// With the `*N` behind it, if there is one.
fn repeated((bytes, behind): (Vec<u8>, &str)) -> Result<(Piece, &str)> {
    let Some(count) = behind.strip_prefix('*') else { return Ok((Piece::Bytes(bytes), behind)) };
    let (count, behind) = split(count, |letter| letter.is_ascii_digit());
    let count = count.parse::<usize>().context("a * without a number")?;
    ensure!(bytes.len().saturating_mul(count) <= MOST, "so many bytes are not meant");
    Ok((Piece::Bytes(bytes.repeat(count)), behind))
}
