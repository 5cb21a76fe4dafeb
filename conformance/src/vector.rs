//! What a vector is.

use std::time::Duration;

use crate::pattern::Pattern;

/// Which side is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server; the player is its client.
    Server,
    /// A client; the player is its server.
    Client,
}

/// How the tested server is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// With the limits that stand for no headers.
    Default,
    /// With limits that are cheap to reach.
    Small,
    /// With connections that last a second.
    Aging,
}

/// One case: what is said to a side, and what it has to say.
#[derive(Debug)]
pub struct Vector {
    /// What it shows.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// The line that it begins at.
    pub line: usize,
    /// The numbers of the MUSTs that it holds.
    pub holds: Vec<u16>,
    /// Which side is tested.
    pub role: Role,
    /// Of a server: its limits.
    pub setup: Setup,
    /// Of a client: what is added to the line that lets it connect.
    pub(crate) connect: String,
    /// Headers of the player's head.
    pub(crate) says: Vec<String>,
    /// It begins before the heads.
    pub(crate) raw: bool,
    /// Credits are not skipped.
    pub(crate) strict: bool,
    pub(crate) steps: Vec<Step>,
}

impl Vector {
    /// How long the player sleeps.
    #[must_use]
    pub fn waits(&self) -> Duration {
        let waits = self.steps.iter().map(|step| match step.act {
            Act::Wait(time) => time,
            _ => Duration::ZERO,
        });
        waits.sum()
    }
}

/// One line of a vector.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// As it stands there.
    pub(crate) text: String,
    pub(crate) act: Act,
}

#[derive(Debug)]
pub(crate) enum Act {
    Send(Pattern),
    Expect(Pattern),
    Among(Pattern),
    /// What comes before it does not matter.
    Until(Pattern),
    /// Items of that stream, in whatever frames.
    Data(Pattern, Pattern),
    /// Credit for that stream, in whatever frames.
    Credits(Pattern, u64),
    Closes(Option<u8>),
    Ends,
    Silent,
    Fin,
    Hangup,
    Wait(Duration),
    Status(u16),
    Head(String),
    Field(String),
    NoField(String),
    Text(Pattern),
    Do(String),
    Told(String),
    Request(Asked),
}

/// What a Request has to be.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) call: u32,
    pub(crate) more: bool,
    /// Between so many microseconds.
    pub(crate) deadline: Option<(u64, u64)>,
    pub(crate) metadata: Option<Pattern>,
    pub(crate) method: String,
    pub(crate) args: Pattern,
}
