//! Lines out of a byte stream, without ever holding more than one of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncBufRead;

/// More of a line than this is thrown away: no input can make a program hold it in memory.
const LONGEST: usize = 256;

/// A line that is neither blank nor a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from one, with blank lines and comments.
    pub number: u64,
    /// Without the spaces around it. What is not UTF-8 is replaced.
    pub text: String,
    /// There was more of it.
    pub is_cut: bool,
}

/// The lines of an input, one at a time.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
    bytes: u64,
    line: Vec<u8>,
    is_cut: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The lines of `input`.
    pub fn new(input: R) -> Self {
        Self { input, number: 0, bytes: 0, line: Vec::new(), is_cut: false }
    }

    /// How much of the input was taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line that asks for something; `None` at the end of the input.
    ///
    /// What was read of a line is kept until the rest of it is there.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Line>>> {
        loop {
            let chunk = ready!(Pin::new(&mut self.input).poll_fill_buf(cx))?;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let kept = part.len().min(LONGEST - self.line.len());
            self.line.extend_from_slice(&part[..kept]);
            self.is_cut |= kept < part.len();
            let (is_over, used) = (chunk.is_empty(), part.len() + usize::from(end.is_some()));
            Pin::new(&mut self.input).consume(used);
            self.bytes += used as u64;
            if end.is_none() && !is_over {
                continue;
            }
            self.number += 1;
            let line = self.take();
            if line.is_some() || is_over {
                return Poll::Ready(Ok(line));
            }
        }
    }

    fn take(&mut self) -> Option<Line> {
        let is_cut = std::mem::take(&mut self.is_cut);
        let line = String::from_utf8_lossy(&self.line);
        let text = line.trim();
        let asks = !(text.starts_with('#') || text.is_empty() && !is_cut);
        let line = asks.then(|| Line { number: self.number, text: text.to_owned(), is_cut });
        self.line.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::BufReader;

    use super::*;

    /// With a buffer so small that every line comes in pieces.
    fn lines(input: &[u8]) -> Vec<(u64, String, bool)> {
        let mut lines = Lines::new(BufReader::with_capacity(3, input));
        let mut all = Vec::new();
        while let Poll::Ready(Ok(Some(line))) = lines.poll_next(&mut Context::from_waker(Waker::noop())) {
            all.push((line.number, line.text, line.is_cut));
        }
        assert_eq!(lines.bytes(), input.len() as u64);
        all
    }

    #[test]
    fn blank_lines_and_comments_are_counted_and_skipped() {
        let got = lines(b"7 * 8\r\n\n  # a note\n 17 / 5 ");
        assert_eq!(got, [(1, "7 * 8".into(), false), (4, "17 / 5".into(), false)]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn of_an_endless_line_only_the_beginning_is_kept() {
        let mut input = vec![b'7'; 1 << 20];
        input.extend_from_slice(b"\n1 * 1\n");
        let got = lines(&input);
        assert_eq!(got, [(1, "7".repeat(LONGEST), true), (2, "1 * 1".into(), false)]);
    }

    #[test]
    fn what_is_not_text_is_still_a_line() {
        assert_eq!(lines(b"\xff * 1\n"), [(1, "\u{fffd} * 1".into(), false)]);
    }
}
