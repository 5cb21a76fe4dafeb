//! What may be.

use std::fmt;
use std::time::Duration;

use rpc_core::Executed;

use crate::fleet::Instance;
use crate::journal::{Outcome, Record, UNUSED};
use crate::script::{Call, Method, Uid};
use crate::streams::SERVICE;

/// A call ends no later than this after its time is up.
pub(crate) const LATE: Duration = Duration::from_millis(50);

/// What was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Every call ends exactly once.
    EndsOnce,
    /// A call ends soon after its time is up, or once nothing is in its way.
    EndsInTime,
    /// A success carries the answer to its own call.
    RightAnswer,
    /// Items arrive as they were sent, in order, and all of them where their end says so.
    RightItems,
    /// Arguments arrive as they were sent.
    RightArguments,
    /// A call with a result ran.
    Ran,
    /// A call that never ran did not run.
    NoIsNo,
    /// A call that ran did run.
    YesIsYes,
    /// No call runs twice, but one that may.
    AtMostOnce,
    /// No handler outlives its call.
    NoOrphans,
    /// The server counts its calls and connections.
    Counts,
    /// A client comes back to its server.
    Reconnects,
    /// Two honest sides never find the other at fault, and fail for known reasons only.
    Honesty,
    /// Nothing panics.
    NoPanic,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub check: Check,
    /// By which call.
    pub uid: Option<Uid>,
    /// How.
    pub text: String,
}

impl Violation {
    /// One that concerns no call alone.
    #[must_use]
    pub fn of(check: Check, text: impl Into<String>) -> Self {
        Self { check, uid: None, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uid {
            Some(uid) => write!(f, "{:?}: call {uid}: {}", self.check, self.text),
            None => write!(f, "{:?}: {}", self.check, self.text),
        }
    }
}

/// Judges one call when all is over, of a client that makes lost connections again, or of one that does not.
pub fn judge_call(call: &Call, record: &Record, reconnects: bool, violations: &mut Vec<Violation>) {
    let mut broken = |check, text: String| {
        let text = format!("{text}: {call:?}, {record:?}");
        violations.push(Violation { check, uid: Some(call.uid), text });
    };
    if record.ended.len() != 1 {
        broken(Check::EndsOnce, format!("it ended {} times", record.ended.len()));
    }
    if record.garbled {
        broken(Check::RightArguments, "its arguments are others than were sent".into());
    }
    if record.begun > most_runs(call) {
        broken(Check::AtMostOnce, format!("it ran {} times", record.begun));
    }
    for (outcome, took) in &record.ended {
        if let Some(limit) = call.limit()
            && *took > limit + LATE
        {
            broken(Check::EndsInTime, format!("it took {took:?}, over {limit:?}"));
        }
        match outcome {
            Outcome::GivenUp => {}
            Outcome::Answered { right } => {
                if !right {
                    broken(Check::RightAnswer, "the answer is another call's".into());
                }
                if record.begun == 0 || !may_answer(call.method) {
                    broken(Check::Ran, "it has a result".into());
                }
            }
            Outcome::Failed { executed, kind, .. } => {
                if *kind == UNUSED && reconnects {
                    broken(Check::Reconnects, "it did not move to another connection".into());
                }
                if kind.starts_with("unexpected") {
                    broken(Check::Honesty, (*kind).into());
                }
                match executed {
                    Executed::No if record.begun > 0 => broken(Check::NoIsNo, "it ran".into()),
                    Executed::Yes if record.begun == 0 => broken(Check::YesIsYes, "it never ran".into()),
                    _ => {}
                }
            }
        }
    }
}

/// The client sends a call that may run again so often at the most.
fn most_runs(call: &Call) -> u32 {
    if call.idempotent { 5 } else { 1 }
}

fn may_answer(method: Method) -> bool {
    matches!(method, Method::Fast | Method::Wait | Method::Spawned)
}

/// Judges one server process when all is over.
pub fn judge_instance(at: usize, instance: &Instance, violations: &mut Vec<Violation>) {
    let (mut streams, mut counted) = (false, 0);
    for counts in instance.counts.stats() {
        if counts.service == SERVICE {
            (streams, counted) = (true, counted + counts.calls);
        }
        let method = Method::ALL.into_iter().find(|method| method.name() == counts.method);
        let begun = method.map_or(0, |method| instance.begun[method as usize]);
        if counts.calls != begun && counts.service != SERVICE {
            let text = format!("instance {at} counted {} calls of {begun}: {counts:?}", counts.calls);
            violations.push(Violation::of(Check::Counts, text));
        }
        if counts.in_flight != 0 {
            let text = format!("instance {at} counts calls in flight: {counts:?}");
            violations.push(Violation::of(Check::Counts, text));
        }
    }
    if streams && counted != instance.streams {
        let text = format!("instance {at} counted {counted} streams of {}", instance.streams);
        violations.push(Violation::of(Check::Counts, text));
    }
    if let Some((report, running)) = instance.report
        && running > 0
    {
        let text =
            format!("instance {at} had ended in good order ({report:?}) with {running} handlers running");
        violations.push(Violation::of(Check::NoOrphans, text));
    }
}
