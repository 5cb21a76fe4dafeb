//! Many calls in flight on one connection, and their answers in the order of the lines.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use rpc_client::{Client, Error, Pending};
use rpc_core::caller::ValueOf;
use tokio::io::AsyncBufRead;

use crate::{ArithClient, Expression, Line, Lines, Malformed, Quotient};

/// Calls in flight, and so the most that is held in memory of an input of any length.
const WINDOW: usize = 256;

/// How many lines were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that asked for something.
    pub lines: u64,
    /// Those of them that got an error.
    pub failed: u64,
}

/// Makes a call for every line of `input` and writes the answers to `output`, a line for a line and
/// in the same order. An error stands beside the line that it belongs to.
///
/// Answers are written as soon as they are there, and before this waits for anything. `output` is
/// written to in place: while it blocks, no more calls are made. `progress` is told from time to
/// time how many bytes of the input were taken.
///
/// # Errors
/// When the input cannot be read, the output not written, or the connection is lost; what was in
/// flight then is written with its error.
pub async fn answer_lines(
    client: &Client,
    input: impl AsyncBufRead + Unpin,
    output: impl Write,
    progress: impl FnMut(u64),
) -> anyhow::Result<Tally> {
    let arith = ArithClient::new(client.clone());
    let lines = Some(Lines::new(input));
    let mut run = Run { lines, queue: VecDeque::with_capacity(WINDOW), output, progress };
    let mut tally = Tally::default();
    let mut lost_at = None;
    while run.lines.is_some() || !run.queue.is_empty() {
        match poll_fn(|cx| run.poll_event(cx)).await? {
            Event::Line(line) => run.queue.push_back(Asked::new(&arith, line)),
            Event::End => run.lines = None,
            Event::Answer(line, answer) => {
                tally.lines += 1;
                tally.failed += u64::from(answer.is_err());
                if let Err(Failed::Call(Error::ConnectionLost { .. } | Error::Shutdown { .. })) = answer {
                    lost_at.get_or_insert(line.number);
                    run.lines = None;
                }
                run.write(&line, &answer)?;
            }
        }
    }
    run.output.flush().context(CANNOT_WRITE)?;
    match lost_at {
        None => Ok(tally),
        Some(number) => anyhow::bail!("the connection was lost at line {number}; the rest was not asked"),
    }
}

const CANNOT_WRITE: &str = "cannot write the answers";

struct Run<R, W, P> {
    /// `None` after the last one.
    lines: Option<Lines<R>>,
    /// In the order of the lines. Every call in it is on its way, only the first is waited for.
    queue: VecDeque<Asked>,
    output: W,
    progress: P,
}

enum Event {
    Line(Line),
    End,
    Answer(Line, Result<Answer, Failed>),
}

impl<R: AsyncBufRead + Unpin, W: Write, P: FnMut(u64)> Run<R, W, P> {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<Event>> {
        if let Some(lines) = &mut self.lines
            && self.queue.len() < WINDOW
            && let Poll::Ready(line) = lines.poll_next(cx).map(|line| line.context("cannot read the input"))
        {
            return Poll::Ready(line.map(|line| line.map_or(Event::End, Event::Line)));
        }
        if let Some(asked) = self.queue.front_mut()
            && let Poll::Ready(answer) = asked.call.poll(cx)
            && let Some(Asked { line, .. }) = self.queue.pop_front()
        {
            return Poll::Ready(Ok(Event::Answer(line, answer)));
        }
        if let Err(error) = self.output.flush() {
            return Poll::Ready(Err(error).context(CANNOT_WRITE));
        }
        if let Some(lines) = &self.lines {
            (self.progress)(lines.bytes());
        }
        Poll::Pending
    }

    fn write(&mut self, line: &Line, answer: &Result<Answer, Failed>) -> anyhow::Result<()> {
        let Line { number, text, .. } = line;
        let written = match answer {
            Ok(answer) => writeln!(self.output, "{answer}"),
            Err(Failed::Line(error)) => writeln!(self.output, "line {number}: {text:?}: {error}"),
            Err(Failed::Call(Error::Status { status, .. })) => {
                writeln!(self.output, "{text}: {}", status.message())
            }
            Err(Failed::Call(error)) => writeln!(self.output, "{text}: {error}"),
        };
        written.context(CANNOT_WRITE)
    }
}

struct Asked {
    line: Line,
    call: Call,
}

enum Call {
    Multiply(ValueOf<Pending<(), i64>>),
    Divide(ValueOf<Pending<(), Quotient>>),
    Malformed(Malformed),
}

enum Answer {
    Product(i64),
    Quotient(Quotient),
}

enum Failed {
    Line(Malformed),
    Call(Error),
}

impl Asked {
    fn new(arith: &ArithClient<Client>, line: Line) -> Self {
        let expression = if line.is_cut { Err(Malformed::Long) } else { line.text.parse() };
        let call = match expression {
            Ok(Expression::Multiply(args)) => Call::Multiply(arith.multiply(args).start()),
            Ok(Expression::Divide(args)) => Call::Divide(arith.divide(args).start()),
            Err(error) => Call::Malformed(error),
        };
        Self { line, call }
    }
}

impl Call {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failed>> {
        match self {
            Call::Multiply(call) => {
                Pin::new(call).poll(cx).map(|reply| reply.map(Answer::Product).map_err(Failed::Call))
            }
            Call::Divide(call) => {
                Pin::new(call).poll(cx).map(|reply| reply.map(Answer::Quotient).map_err(Failed::Call))
            }
            Call::Malformed(error) => Poll::Ready(Err(Failed::Line(error.clone()))),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Product(product) => write!(f, "{product}"),
            Answer::Quotient(Quotient { quo, rem }) => write!(f, "{quo} remainder {rem}"),
        }
    }
}
