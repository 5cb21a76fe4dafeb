//! What handlers write down, and what clients were told, as it stands in files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Bytes of a record. A page holds whole ones, so that a kill cuts none.
const LENGTH: usize = 32;

/// What a handler did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Before it does anything.
    Begun(u64),
    /// After all that it did, also when it was dropped.
    Ended(Ended),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) number: u64,
    /// Items that it took, or gave out where it takes none.
    pub(crate) seen: u32,
    /// They were those of its job, in order.
    pub(crate) right: bool,
    /// It came to its end, after the last of them.
    pub(crate) complete: bool,
}

/// What a client was told of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
    /// Items that were handed over to be sent.
    pub(crate) sent: u32,
    /// And it was said that these were all.
    pub(crate) finished: bool,
    /// Items that came.
    pub(crate) got: u32,
    /// They were those of the job, in order.
    pub(crate) right: bool,
    pub(crate) answer: u64,
    pub(crate) took: Duration,
}

/// How a call ended for its caller: well, or with an error that says whether it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    No,
    Maybe,
    Yes,
    /// Not within its time.
    Hung,
}

impl Outcome {
    pub(crate) const ALL: [Self; 5] = [Self::Ok, Self::No, Self::Maybe, Self::Yes, Self::Hung];
}

/// The file of a server process. Each record is written at once and by itself, so that what was done
/// before a SIGKILL stands in it.
pub(crate) struct Pen(File);

impl Pen {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(File::options().append(true).create_new(true).open(path)?))
    }

    pub(crate) fn write(&self, entry: Entry) -> io::Result<()> {
        (&self.0).write_all(&bytes(match entry {
            Entry::Begun(number) => [0, number, 0, 0],
            Entry::Ended(Ended { number, seen, right, complete }) => {
                [1 | u64::from(right) << 8 | u64::from(complete) << 9, number, u64::from(seen), 0]
            }
        }))
    }
}

pub(crate) fn entries(path: &Path) -> Result<Vec<Entry>> {
    read(path, |[head, number, seen, _]| {
        Ok(match head as u8 {
            0 => Entry::Begun(number),
            1 => {
                let (right, complete) = (head & 1 << 8 != 0, head & 1 << 9 != 0);
                Entry::Ended(Ended { number, seen: seen as u32, right, complete })
            }
            other => bail!("no record of a handler begins with {other}"),
        })
    })
}

pub(crate) fn write_told(path: &Path, all: &[Told]) -> io::Result<()> {
    let words = all.iter().map(|told| {
        let flags = u64::from(told.right) << 8 | u64::from(told.finished) << 9;
        let micros = told.took.as_micros().min(u128::from(u32::MAX)) as u64;
        let head = told.outcome as u64 | flags | micros << 32;
        [head, told.number, u64::from(told.sent) | u64::from(told.got) << 32, told.answer]
    });
    fs::write(path, words.flat_map(bytes).collect::<Vec<_>>())
}

pub(crate) fn read_told(path: &Path) -> Result<Vec<Told>> {
    read(path, |[head, number, items, answer]| {
        let outcome = Outcome::ALL.get(usize::from(head as u8));
        Ok(Told {
            number,
            outcome: *outcome.context("no such outcome")?,
            sent: items as u32,
            finished: head & 1 << 9 != 0,
            got: (items >> 32) as u32,
            right: head & 1 << 8 != 0,
            answer,
            took: Duration::from_micros(head >> 32),
        })
    })
}

fn bytes(words: [u64; 4]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    bytes
}

fn read<T>(path: &Path, record: impl Fn([u64; 4]) -> Result<T>) -> Result<Vec<T>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (words, rest) = bytes.as_chunks::<8>();
    let (records, cut) = words.as_chunks::<4>();
    ensure!(rest.is_empty() && cut.is_empty(), "{} ends inside a record", path.display());
    records.iter().map(|words| record(words.map(u64::from_le_bytes))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn records_read_back_as_they_were_written() {
        let directory = std::env::temp_dir();
        let path = |name| directory.join(format!("chaos-{}-{name}", std::process::id()));
        let (journal, told) = (path("journal-records"), path("told-records"));
        let written = [
            Entry::Begun(u64::MAX),
            Entry::Ended(Ended { number: 7, seen: 500, right: true, complete: false }),
            Entry::Ended(Ended { number: 8, seen: u32::MAX, right: false, complete: true }),
        ];
        let pen = Pen::create(&journal).unwrap();
        written.iter().for_each(|entry| pen.write(*entry).unwrap());
        let all = Outcome::ALL.map(|outcome| Told {
            number: 9,
            outcome,
            sent: 3,
            finished: outcome == Outcome::Ok,
            got: u32::MAX,
            right: outcome != Outcome::Ok,
            answer: u64::MAX,
            took: Duration::from_micros(1_234_567),
        });
        write_told(&told, &all).unwrap();
        let read = (entries(&journal), read_told(&told));
        let _ = (fs::remove_file(journal), fs::remove_file(told));
        assert_eq!(read.0.unwrap(), written);
        assert_eq!(read.1.unwrap(), all);
    }
}
