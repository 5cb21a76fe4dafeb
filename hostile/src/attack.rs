//! What an attack is, and what it makes of what it sees.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;

use anyhow::Result;

/// One way to do harm.
pub(crate) struct Attack {
    /// On the command line.
    pub(crate) name: &'static str,
    /// The limit it aims at, by its number in docs/limits.md where it has one.
    pub(crate) aim: &'static str,
    pub(crate) run: for<'a> fn(&'a mut Trial) -> Running<'a>,
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One attempt. What it saw is printed as it is seen.
pub(crate) struct Trial {
    short: bool,
    misses: usize,
}

impl Trial {
    pub(crate) fn new(short: bool) -> Self {
        Self { short, misses: 0 }
    }

    pub(crate) fn misses(&self) -> usize {
        self.misses
    }

    /// How much of it: `full`, or what is enough to see that it works.
    pub(crate) fn size<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    /// A figure that has no limit.
    pub(crate) fn shows(&mut self, what: &str, seen: impl Display) {
        println!("  {what:44} {seen}");
    }

    /// A figure that may be so much at the most.
    pub(crate) fn at_most(&mut self, what: &str, seen: f64, most: f64) {
        self.judge(seen <= most, what, &format!("{seen:.2} (at most {most})"));
    }

    /// A figure that other programs of the machine are seen in: judged in full, and only shown in short.
    pub(crate) fn at_most_in_quiet(&mut self, what: &str, seen: f64, most: f64) {
        match self.short {
            true => self.shows(what, format!("{seen:.2} (at most {most}, on a quiet machine)")),
            false => self.at_most(what, seen, most),
        }
    }

    /// A time that may be so long; in short two seconds more, for machines that have other things to do.
    pub(crate) fn in_time(&mut self, what: &str, seconds: f64, most: f64) {
        self.at_most(what, seconds, self.size(most, most + 2.0));
    }

    /// Memory in MiB; in short two more, because the allocator's steps are as large as what so few peers hold.
    pub(crate) fn in_memory(&mut self, what: &str, mib: f64, most: f64) {
        self.at_most(what, mib, self.size(most, most + 2.0));
    }

    /// A figure that has to be so much at the least.
    pub(crate) fn at_least(&mut self, what: &str, seen: f64, least: f64) {
        self.judge(seen >= least, what, &format!("{seen:.2} (at least {least})"));
    }

    /// What has to be so.
    pub(crate) fn holds(&mut self, what: &str, holds: bool) {
        self.judge(holds, what, if holds { "yes" } else { "no" });
    }

    /// What ended the attempt before its time.
    pub(crate) fn miss(&mut self, why: &str) {
        self.judge(false, "ended with", why);
    }

    fn judge(&mut self, holds: bool, what: &str, seen: &str) {
        self.misses += usize::from(!holds);
        println!("  {what:44} {seen}{}", if holds { "" } else { "   MISS" });
    }
}
