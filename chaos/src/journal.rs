//! Which calls have run.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The numbers of the calls that a server process has run, each eight bytes, in a file of its own.
pub(crate) struct Journal(Mutex<BufWriter<File>>);

impl Journal {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(BufWriter::new(File::create_new(path)?))))
    }

    pub(crate) fn append(&self, number: u64) -> io::Result<()> {
        self.file().write_all(&number.to_le_bytes())
    }

    /// Before the process ends, which would forget what was not written.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut file = self.file();
        file.flush()?;
        file.get_ref().sync_all()
    }

    fn file(&self) -> MutexGuard<'_, BufWriter<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often each call has run, over all journals.
pub(crate) struct Runs(Vec<u8>);

impl Runs {
    pub(crate) fn new(calls: u64) -> Self {
        Self(vec![0; calls as usize])
    }

    /// Adds a journal; `Err` when it is none of these calls.
    pub(crate) fn add(&mut self, journal: &Path) -> io::Result<()> {
        let bytes = fs::read(journal)?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(io::Error::other("a journal ends in the middle of a number"));
        }
        for number in numbers {
            let number = u64::from_le_bytes(*number);
            let runs = self.0.get_mut(number as usize);
            let runs = runs.ok_or_else(|| io::Error::other(format!("nobody made call {number}")))?;
            *runs = runs.saturating_add(1);
        }
        Ok(())
    }

    /// How many calls never ran, and how many ran more than once.
    pub(crate) fn wrong(&self) -> (usize, usize) {
        let count = |holds: fn(u8) -> bool| self.0.iter().filter(|runs| holds(**runs)).count();
        (count(|runs| runs == 0), count(|runs| runs > 1))
    }
}
