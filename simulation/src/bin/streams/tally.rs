//! How often what happened.

use std::collections::BTreeMap;
use std::fmt;

use rpc_client::Error;

use crate::ledger::{End, InputEnd, Record};
use crate::plan::Stream;

/// Counts of schedules, streams and ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    counts: BTreeMap<String, u64>,
    most: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, kind: impl Into<String>, times: u64) {
        *self.counts.entry(kind.into()).or_default() += times;
    }

    pub(crate) fn most(&mut self, kind: impl Into<String>, value: u64) {
        let most = self.most.entry(kind.into()).or_default();
        *most = value.max(*most);
    }

    pub(crate) fn schedule(&mut self, violations: usize) {
        self.count("schedule", 1);
        self.count("violation", violations as u64);
    }

    pub(crate) fn stream(&mut self, stream: &Stream, record: &Record) {
        self.count(format!("stream of shape {:?}", stream.shape), 1);
        for end in &record.ends {
            self.count(format!("caller: {}", name_of(end)), 1);
        }
        for end in &record.sender_ends {
            self.count(format!("sender: {end:?}"), 1);
        }
        for end in &record.input_ends {
            let end = match end {
                InputEnd::Complete => "Complete".into(),
                InputEnd::Dropped => "Dropped".into(),
                InputEnd::Failed(code, _) => format!("{code:?}"),
            };
            self.count(format!("handler's items: {end}"), 1);
        }
        match record.output_end {
            Some(end) => self.count(format!("handler's answer: {end:?}"), 1),
            None if record.begun > 0 && stream.shape.answers() => self.count("handler's answer: Dropped", 1),
            None => {}
        }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        other.counts.into_iter().for_each(|(kind, count)| self.count(kind, count));
        other.most.into_iter().for_each(|(kind, most)| self.most(kind, most));
    }

    pub(crate) fn of(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or_default()
    }
}

fn name_of(end: &End) -> String {
    match end {
        End::Complete => "Complete".into(),
        End::Answer(_, true) => "Answer to all items".into(),
        End::Answer(_, false) => "Answer before the last item".into(),
        End::Dropped => "Dropped".into(),
        End::Failed(Error::Status { status, .. }) => {
            format!("Status {:?}, executed {:?}", status.code(), status.executed())
        }
        End::Failed(error) => {
            let text = format!("{error:?}");
            let name = text.split([' ', '(', '{']).next().unwrap_or_default();
            format!("{name}, executed {:?}", error.executed())
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().chain(&self.most).try_for_each(|(kind, count)| writeln!(f, "{count:>14}  {kind}"))
    }
}
