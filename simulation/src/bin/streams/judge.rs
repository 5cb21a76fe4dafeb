//! What may be.

use rpc_client::{Error, Lost};
use rpc_core::stream::Shape;
use rpc_core::{Code, Executed};

use crate::handler::FAILED;
use crate::ledger::{End, InputEnd, OutputEnd, Record, SenderEnd};
use crate::plan::{Ending, HEAD, Input, Plan, Stream};

/// Judges one stream when all is over.
pub(crate) fn judge(plan: &Plan, number: usize, record: &Record, broken: &mut Vec<String>) {
    let stream = &plan.streams[number];
    let mut verdicts = Vec::new();
    let case = Case { plan, stream, record };
    case.counts(&mut verdicts);
    for end in &record.ends {
        case.caller(end, &mut verdicts);
    }
    for end in &record.sender_ends {
        case.sender(*end, &mut verdicts);
    }
    for end in &record.input_ends {
        case.input(end, &mut verdicts);
    }
    broken.extend(verdicts.into_iter().map(|text| {
        let Record { up, down, ends, sender_ends, given_up, begun, over, input_ends, output_end, answer } =
            record;
        format!(
            "stream {number}: {text}: up {}/{}, down {}/{}, {ends:?}, {sender_ends:?}, given up {given_up}, \
             handlers {begun}-{over}, {input_ends:?}, {output_end:?}, {answer:?}; planned {stream:?}",
            up.taken,
            up.handed.len(),
            down.taken,
            down.handed.len(),
        )
    }));
}

struct Case<'a> {
    plan: &'a Plan,
    stream: &'a Stream,
    record: &'a Record,
}

impl Case<'_> {
    fn counts(&self, broken: &mut Vec<String>) {
        let Record { up, down, ends, sender_ends, begun, over, input_ends, .. } = self.record;
        if ends.len() != 1 {
            broken.push(format!("it ended {} times for its caller", ends.len()));
        }
        if sender_ends.len() > 1 {
            broken.push(format!("its sender ended {} times", sender_ends.len()));
        }
        if *begun > 1 || begun != over {
            broken.push("it did not run once".into());
        }
        if input_ends.len() > *begun {
            broken.push(format!("its items ended {} times for its handler", input_ends.len()));
        }
        if up.taken > up.handed.len() || down.taken > down.handed.len() {
            broken.push("more came than was sent".into());
        }
    }

    /// Something of the schedule that may end a call at any moment.
    fn may_be_lost(&self) -> bool {
        self.plan.ending != Ending::Idle
    }

    /// The caller, or its time, may end the call before its handler does.
    fn may_be_given_up(&self) -> bool {
        let Stream { timeout, idle_timeout, parent, .. } = self.stream;
        self.record.given_up
            || timeout.is_some()
            || idle_timeout.is_some()
            || parent.is_some()
            || self.may_be_lost()
    }

    fn has_too_large(&self) -> bool {
        self.stream.down.items.iter().any(|len| *len > self.plan.client.max_frame - HEAD)
    }

    /// The handler may end before it has taken all items.
    fn ends_early(&self) -> bool {
        let Stream { input, fails, shape, .. } = self.stream;
        let early = match (input, shape) {
            (Input::First, _) | (Input::Beside, Shape::Client) => false,
            (Input::Beside | Input::Some(_) | Input::Holds, _) => true,
        };
        early || fails.is_some()
    }

    fn caller(&self, end: &End, broken: &mut Vec<String>) {
        let Record { up, down, begun, output_end, answer, input_ends, .. } = self.record;
        if end.executed() == Some(Executed::No) && *begun > 0 {
            broken.push("it ran, and is said not to have".into());
        }
        if end.executed() == Some(Executed::Yes) && *begun == 0 {
            broken.push("it never ran, and is said to have".into());
        }
        match end {
            End::Dropped => {
                if !self.record.given_up {
                    broken.push("its caller did not drop it".into());
                }
            }
            End::Complete => {
                if *output_end != Some(OutputEnd::Complete) || down.taken != down.handed.len() {
                    broken.push("it is complete for its caller, and not for its handler".into());
                }
            }
            End::Answer(taken, complete) => {
                if *answer != Some((*taken, *complete)) {
                    broken.push("the answer is not its own".into());
                }
                if *complete
                    && (up.taken != up.handed.len()
                        || *taken != up.taken
                        || input_ends != &[InputEnd::Complete])
                {
                    broken.push("the handler says that these were all items".into());
                }
            }
            End::Failed(error) => {
                if let Some(text) = self.unexplained(error) {
                    broken.push(format!("{text}: {error:?}"));
                }
            }
        }
    }

    /// Why such an error cannot be, if it cannot.
    fn unexplained(&self, error: &Error) -> Option<&'static str> {
        let Record { down, output_end, .. } = self.record;
        let Stream { timeout, idle_timeout, parent, fails, unfinished, .. } = self.stream;
        let lost = match self.plan.ending {
            Ending::Cut(_) | Ending::CutAt(_) => matches!(error, Error::ConnectionLost { .. }),
            Ending::Drain(..) => match error {
                Error::ConnectionLost { source, .. } => matches!(source, Lost::GoingAway(_)),
                Error::Status { status, .. } => status.code() == Code::Unavailable,
                _ => false,
            },
            Ending::Close(_) => matches!(error, Error::Shutdown { .. }),
            Ending::Idle => false,
        };
        let explained = match error {
            Error::Status { status, .. } => match status.code() {
                Code::DataLoss => {
                    if *output_end == Some(OutputEnd::Failed) && down.taken != down.handed.len() {
                        return Some("items before the handler's error are missing");
                    }
                    fails.is_some() && status.message() == FAILED
                }
                Code::ResourceExhausted => {
                    if *output_end == Some(OutputEnd::TooLarge) && down.taken != down.handed.len() {
                        return Some("items before the one that is too large are missing");
                    }
                    self.has_too_large() && *output_end == Some(OutputEnd::TooLarge)
                }
                Code::DeadlineExceeded => timeout.is_some(),
                _ => false,
            },
            Error::DeadlineExceeded { .. } => timeout.is_some(),
            Error::Cancelled { .. } => parent.is_some(),
            Error::Idle { .. } => idle_timeout.is_some(),
            Error::GivenUp { .. } => unfinished.is_some(),
            Error::Limit { .. } => (self.plan.max_streams as usize) < self.plan.streams.len(),
            _ => false,
        };
        (!explained && !lost).then_some("nothing explains its error")
    }

    fn sender(&self, end: SenderEnd, broken: &mut Vec<String>) {
        let closed = self.may_be_given_up() || self.ends_early() || self.has_too_large();
        if end == SenderEnd::Closed && !closed {
            broken.push("nothing explains that its sender was closed".into());
        }
        if end == SenderEnd::Dropped && self.stream.unfinished.is_none() {
            broken.push("nobody dropped its sender".into());
        }
    }

    fn input(&self, end: &InputEnd, broken: &mut Vec<String>) {
        let Record { up, sender_ends, .. } = self.record;
        match end {
            InputEnd::Complete => {
                if up.taken != up.handed.len() || sender_ends != &[SenderEnd::Finished] {
                    broken.push("its items are complete for the handler, and not for the caller".into());
                }
            }
            InputEnd::Dropped => {
                let drops = matches!(self.stream.input, Input::Some(_));
                if !drops && !self.may_be_given_up() {
                    broken.push("nothing explains that its handler was dropped".into());
                }
            }
            InputEnd::Failed(code, _) => {
                let over = self.stream.input == Input::Beside && self.stream.shape == Shape::Bidi;
                if *code != Code::Cancelled || !over && !self.may_be_given_up() {
                    broken.push("nothing explains the error of its input".into());
                }
            }
        }
    }
}
