//! From a file to its vectors.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::pattern::Pattern;
use crate::vector::{Act, Asked, Role, Setup, Step, Vector};

/// More than any vector needs.
const MOST_ROUNDS: u64 = 100_000;

/// The vectors in a file's text.
///
/// # Errors
/// At the first line that is not as README.md says; the text names file and line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Vector>> {
    let mut vectors: Vec<Vector> = Vec::new();
    let mut block: Option<Block> = None;
    for (line, text) in lines(text) {
        let mut take = || -> Result<()> {
            let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
            let rest = rest.trim();
            if word == "vector" {
                ensure!(block.is_none(), "the each before it has no again");
                vectors.push(empty(file, line, rest));
                return Ok(());
            }
            let vector = vectors.last_mut().context("no vector was begun")?;
            match (word, &mut block) {
                ("each", None) => block = Some(Block::parse(rest)?),
                ("each", Some(_)) => bail!("an each in an each"),
                ("again", open) => {
                    let open = open.take().context("an again without its each")?;
                    return open.unroll(&mut vector.steps);
                }
                (_, Some(block)) => block.lines.push((line, text.clone())),
                _ if vector.steps.is_empty() && begin(vector, word, rest)? => {}
                _ => vector.steps.push(step(line, &text)?),
            }
            Ok(())
        };
        take().with_context(|| format!("{file}:{line}: {}", cut(&text)))?;
    }
    ensure!(block.is_none(), "{file}: the last each has no again");
    for vector in &vectors {
        let Vector { line, name, holds, steps, .. } = vector;
        ensure!(
            !holds.is_empty() && !steps.is_empty(),
            "{file}:{line}: {name}: holds nothing, or has no steps"
        );
    }
    Ok(vectors)
}

/// Without comments and empty lines; those that begin with a blank belong to the one before.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut().filter(|_| line.starts_with(' ')) {
            Some((_, before)) => *before = format!("{before} {trimmed}"),
            None => lines.push((at + 1, trimmed.to_owned())),
        }
    }
    lines
}

fn empty(file: &str, line: usize, name: &str) -> Vector {
    Vector {
        name: name.into(),
        file: file.into(),
        line,
        holds: Vec::new(),
        role: Role::Server,
        setup: Setup::Default,
        connect: String::new(),
        says: Vec::new(),
        raw: false,
        strict: false,
        steps: Vec::new(),
    }
}

/// A line before the steps; false if it is none.
fn begin(vector: &mut Vector, word: &str, rest: &str) -> Result<bool> {
    match word {
        "holds" => {
            let number =
                |must: &str| Ok(must.strip_prefix('M').context("a MUST is M and a number")?.parse()?);
            vector.holds = rest.split_whitespace().map(number).collect::<Result<_>>()?;
        }
        "tests" => {
            vector.role = match rest {
                "server" => Role::Server,
                "client" => Role::Client,
                _ => bail!("neither server nor client"),
            }
        }
        "setup" if vector.role == Role::Client => vector.connect = rest.into(),
        "setup" => {
            vector.setup = match rest {
                "small" => Setup::Small,
                "aging" => Setup::Aging,
                _ => bail!("neither small nor aging"),
            }
        }
        "says" => vector.says.push(rest.into()),
        "raw" => vector.raw = true,
        "strict" => vector.strict = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn step(line: usize, text: &str) -> Result<Step> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    let behind = |rest: &str| -> Result<(Pattern, String)> {
        let (id, rest) = rest.split_once(' ').context("an id, and something behind it")?;
        Ok((Pattern::parse(id)?, rest.to_owned()))
    };
    let act = match word {
        "send" => Act::Send(Pattern::parse(rest)?),
        "expect" => Act::Expect(Pattern::parse(rest)?),
        "among" => Act::Among(Pattern::parse(rest)?),
        "until" => Act::Until(Pattern::parse(rest)?),
        "data" => behind(rest).and_then(|(id, items)| Ok(Act::Data(id, Pattern::parse(&items)?)))?,
        "credits" => behind(rest).and_then(|(id, sum)| Ok(Act::Credits(id, sum.trim().parse()?)))?,
        "closes" if rest.is_empty() => Act::Closes(None),
        "closes" => Act::Closes(Some(rest.parse()?)),
        "ends" => Act::Ends,
        "silent" => Act::Silent,
        "fin" => Act::Fin,
        "hangup" => Act::Hangup,
        "wait" => Act::Wait(Duration::from_millis(rest.strip_suffix("ms").context("no ms")?.parse()?)),
        "status" => Act::Status(rest.parse()?),
        "head" => Act::Head(rest.into()),
        "field" => Act::Field(rest.into()),
        "no-field" => Act::NoField(rest.into()),
        "text" => Act::Text(Pattern::parse(rest)?),
        "do" => Act::Do(rest.into()),
        "told" => Act::Told(rest.into()),
        "request" => Act::Request(asked(rest)?),
        _ => bail!("there is no step {word}"),
    };
    Ok(Step { line, text: cut(text), act })
}

fn asked(text: &str) -> Result<Asked> {
    let (call, mut rest) = text.split_once(' ').context("a number and a method")?;
    let mut asked = Asked { call: call.parse()?, ..Asked::default() };
    loop {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = match word {
            "more" => {
                asked.more = true;
                behind
            }
            "deadline" => {
                let (range, behind) = behind.split_once(' ').context("no deadline")?;
                let (least, most) = range.split_once("..").context("a deadline is a range")?;
                asked.deadline = Some((least.parse()?, most.parse()?));
                behind
            }
            "metadata" => {
                let (block, behind) = behind.split_once(' ').context("no metadata")?;
                asked.metadata = Some(Pattern::parse(block)?);
                behind
            }
            method => {
                ensure!(method.contains('.'), "no method");
                asked.method = method.into();
                asked.args = Pattern::parse(behind)?;
                return Ok(asked);
            }
        };
    }
}

/// Steps that are taken many times.
struct Block {
    rounds: u64,
    first: u64,
    lines: Vec<(usize, String)>,
}

impl Block {
    fn parse(text: &str) -> Result<Self> {
        let (rounds, first) = text.split_once(" from ").context("N from M")?;
        let (rounds, first) = (rounds.parse()?, first.parse()?);
        ensure!(rounds <= MOST_ROUNDS, "so many rounds are not meant");
        Ok(Self { rounds, first, lines: Vec::new() })
    }

    fn unroll(self, steps: &mut Vec<Step>) -> Result<()> {
        for number in (self.first..).take(usize::try_from(self.rounds)?) {
            for (line, text) in &self.lines {
                let filled = fill(text, number);
                steps.push(step(*line, &filled).with_context(|| format!("line {line}: {}", cut(&filled)))?);
            }
        }
        Ok(())
    }
}

/// `{dec}` is the round's number, `{dec5}` the same in five digits, `{hex6}` in six bytes.
fn fill(text: &str, number: u64) -> String {
    let mut text = text.replace("{dec}", &number.to_string());
    for width in 1..=8 {
        text = text.replace(&format!("{{dec{width}}}"), &format!("{number:0width$}"));
        text = text.replace(&format!("{{hex{width}}}"), &format!("{number:0digits$x}", digits = 2 * width));
    }
    text
}

/// Not more of a line than an error needs.
fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
