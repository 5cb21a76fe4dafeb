//! A room in which all hear what the others say: streams in both directions.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream;
use lexopt::prelude::*;
use rpc_client::Client;
use rpc_core::{Context, Sender, Status, Stream, Streaming};
use rpc_server::Server;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

const USAGE: &str = "\
Usage: chat serve [--listen ADDR]
       chat join ADDR NAME

`serve` opens a room. The first line it prints is the address it listens on. `join` says in it what is
typed, and prints what the others say, until the input ends.

  --listen ADDR  host:port, port 0 for a free one [default: 127.0.0.1:0]
  --help         this text
";

/// Who is further behind than this misses something.
const KEPT: usize = 64;

/// What a guest hears.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Heard {
    Said {
        by: String,
        text: String,
    },
    Joined(String),
    Left(String),
    /// The guest was too slow for so many of them.
    Missed(u64),
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { by, text } => write!(f, "{by}: {text}"),
            Self::Joined(name) => write!(f, "{name} joined"),
            Self::Left(name) => write!(f, "{name} left"),
            Self::Missed(times) => write!(f, "you missed {times}"),
        }
    }
}

#[rpc_core::service]
trait Chat {
    /// Says lines in the room, and answers with what is heard there, until the lines end.
    async fn join(
        &self,
        cx: &Context,
        name: String,
        lines: Streaming<String>,
    ) -> Result<impl Stream<Item = Result<Heard, Status>>, Status>;
}

struct Room {
    guests: AtomicU64,
    air: broadcast::Sender<(u64, Heard)>,
}

impl Chat for Room {
    async fn join(
        &self,
        _cx: &Context,
        name: String,
        lines: Streaming<String>,
    ) -> Result<impl Stream<Item = Result<Heard, Status>>, Status> {
        if !(1..=32).contains(&name.len()) {
            return Err(Status::invalid_argument("a name has 1 to 32 bytes"));
        }
        let number = self.guests.fetch_add(1, Ordering::Relaxed);
        let guest = Guest { room: self, number, name, lines, air: self.air.subscribe() };
        // The new one hears it too, and knows then that it is heard.
        self.say(number, Heard::Joined(guest.name.clone()));
        Ok(stream::try_unfold(guest, async |mut guest| Ok(guest.next().await?.map(|heard| (heard, guest)))))
    }
}

impl Room {
    fn say(&self, by: u64, heard: Heard) {
        // Nobody hears it who is not there.
        let _ = self.air.send((by, heard));
    }
}

/// One who is in the room until it is dropped, however the call ends.
struct Guest<'a> {
    room: &'a Room,
    number: u64,
    name: String,
    lines: Streaming<String>,
    air: broadcast::Receiver<(u64, Heard)>,
}

impl Guest<'_> {
    /// What it hears next. It says what it has to say meanwhile, so who does not listen is not heard either.
    async fn next(&mut self) -> Result<Option<Heard>, Status> {
        loop {
            tokio::select! {
                line = self.lines.try_next() => match line? {
                    Some(text) => self.room.say(self.number, Heard::Said { by: self.name.clone(), text }),
                    None => return Ok(None),
                },
                heard = self.air.recv() => match heard {
                    Ok((by, Heard::Said { .. })) if by == self.number => {}
                    Ok((_, heard)) => return Ok(Some(heard)),
                    Err(RecvError::Lagged(missed)) => return Ok(Some(Heard::Missed(missed))),
                    Err(RecvError::Closed) => return Ok(None),
                },
            }
        }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.room.say(self.number, Heard::Left(self.name.clone()));
    }
}

async fn join(server: &str, name: String) -> anyhow::Result<()> {
    let client = ChatClient::new(Client::connect(server).await?);
    let (say, mut heard) = client.join(name).await?;
    // Beside listening: while this side listens to nothing, the other may have no room for what it says.
    tokio::spawn(say_what_is_typed(say));
    while let Some(heard) = heard.try_next().await? {
        // What others typed must not move the cursor about.
        writeln!(io::stdout(), "{}", heard.to_string().replace(char::is_control, " "))?;
    }
    Ok(())
}

async fn say_what_is_typed(mut say: Sender<String>) {
    let (typed, mut lines) = mpsc::channel(1);
    // A read of the terminal cannot be called back; a thread that is not the runtime's is not waited for.
    std::thread::spawn(move || {
        io::stdin().lines().map_while(Result::ok).try_for_each(|line| typed.blocking_send(line))
    });
    while let Some(line) = lines.recv().await {
        // The call is over: why, `heard` tells.
        if say.send(line).await.is_err() {
            return;
        }
    }
    say.finish();
}

enum Command {
    Serve { listen: String },
    Join { server: String, name: String },
}

fn main() -> ExitCode {
    examples::run("chat", USAGE, command(), async |command| match command {
        Command::Serve { listen } => {
            let room = Room { guests: AtomicU64::new(0), air: broadcast::Sender::new(KEPT) };
            let listener = examples::announce(&listen).await?;
            Server::builder().register(ChatServer::new(room)).serve(listener).await?;
            Ok(())
        }
        Command::Join { server, name } => join(&server, name).await,
    })
}

fn command() -> Result<Option<Command>, lexopt::Error> {
    let (mut words, mut listen) = (Vec::new(), "127.0.0.1:0".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(None),
            Value(value) => words.push(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match &words[..] {
        [what] if what == "serve" => Ok(Some(Command::Serve { listen })),
        [what, server, name] if what == "join" => {
            Ok(Some(Command::Join { server: server.clone(), name: name.clone() }))
        }
        _ => Err("expected `serve` or `join ADDR NAME`".into()),
    }
}
