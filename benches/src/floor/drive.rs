//! Asks: one task for each connection, whatever is in flight on it.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::exchange::Exchange;
use super::serve::repeat;
use super::{CHUNK, Frames, HEADER, NUMBERS, header, number};
use crate::case::{Body, Calls, Load};
use crate::contract::Args;
use crate::measure::{Meter, Tally};
use crate::open;

/// See [`Subject::drive`](crate::subject::Subject::drive).
///
/// # Errors
/// When a connection cannot be opened.
pub async fn drive(address: SocketAddr, load: Load, meter: &mut Meter) -> Result<JoinSet<Result<()>>> {
    let Calls { connections, in_flight, body, timed } = match load {
        Load::Calls(calls) => calls,
        Load::Connect(tasks) => return Ok(open::repeat(move |args| with_call(address, args), tasks, meter)),
        Load::Hold(connections) => {
            return open::hold(move |args| with_call(address, args), connections).await;
        }
    };
    let mut tasks = JoinSet::new();
    // The call shows that the server has accepted it: its backlog does not hold thousands.
    for stream in open::all(|_| with_call(address, Args { a: 7, b: 1 }), connections).await? {
        let tally = meter.tally(timed);
        match body {
            Body::Small => tasks.spawn(call(stream, in_flight, NUMBERS, tally)),
            Body::Echo(size @ ..=CHUNK) => tasks.spawn(call(stream, in_flight, size, tally)),
            Body::Echo(size) => tasks.spawn(Exchange::new(stream, in_flight, size, tally).run()),
            Body::Wait => bail!("the floor waits for nothing"),
            Body::Items(size) => tasks.spawn(ask(stream, size, tally)),
            Body::Quotes => tasks.spawn(ask(stream, 64, tally)),
            Body::Beside(_) => bail!("the floor has one kind of call on a connection"),
            Body::Bidi(size) => {
                let (reader, writer) = stream.into_split();
                tasks.spawn(repeat(writer, size));
                tasks.spawn(take(reader, size, tally))
            }
        };
    }
    Ok(tasks)
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection with one call behind it.
async fn with_call(address: SocketAddr, Args { a, b }: Args) -> Result<TcpStream> {
    let mut stream = connect(address).await?;
    let mut question = header(1, NUMBERS).to_vec();
    question.extend_from_slice(&a.to_le_bytes());
    question.extend_from_slice(&b.to_le_bytes());
    stream.write_all(&question).await?;
    let mut answer = [0; HEADER + 8];
    stream.read_exact(&mut answer).await?;
    ensure!(number(&answer[HEADER..]) == a * b, "the answer is no product");
    Ok(stream)
}

/// Keeps `in_flight` calls with short payloads going: every batch of answers makes a batch of requests. It
/// all fits into the socket's buffers, so that reads and writes can take turns.
async fn call(mut stream: TcpStream, in_flight: usize, payload: usize, mut tally: Tally) -> Result<()> {
    let (mut frames, mut out, mut id) = (Frames::new(), Vec::new(), 0_u64);
    let request = |out: &mut Vec<u8>, id: u64| {
        out.extend_from_slice(&header(id, payload));
        out.extend_from_slice(&7_i64.to_le_bytes());
        out.extend_from_slice(&(id as i64).to_le_bytes());
        out.resize(out.len() + payload - NUMBERS, 7);
    };
    let answered_with = if payload == NUMBERS { 8 } else { payload };
    for _ in 0..in_flight {
        id += 1;
        request(&mut out, id);
    }
    loop {
        let began = tally.begin();
        stream.write_all(&out).await?;
        out.clear();
        let mut answered = 0;
        while answered == 0 {
            let count = stream.read(frames.room()).await?;
            ensure!(count > 0, "the server has gone");
            frames.end += count;
            while let Some(frame) = frames.next() {
                let answer = frame.split_at_checked(HEADER).map_or(&[][..], |(_, answer)| answer);
                ensure!(answer.len() == answered_with && number(answer) % 7 == 0, "the answer is another");
                answered += 1;
                id += 1;
                request(&mut out, id);
            }
        }
        match began {
            Some(_) => tally.end(began),
            None => tally.add(answered),
        }
    }
}

/// Asks for items of that size, and takes them for ever.
async fn ask(mut stream: TcpStream, size: usize, tally: Tally) -> Result<()> {
    stream.write_all(&header(1, 4)).await?;
    stream.write_all(&(size as u32).to_be_bytes()).await?;
    take(stream, size, tally).await
}

/// Takes items of that size for ever.
async fn take(mut stream: impl AsyncRead + Unpin, size: usize, mut tally: Tally) -> Result<()> {
    let mut frames = Frames::new();
    loop {
        let count = stream.read(frames.room()).await?;
        ensure!(count > 0, "the server has gone");
        frames.end += count;
        let mut taken = 0;
        while let Some(frame) = frames.next() {
            ensure!(frame.len() == HEADER + size, "the item has another size");
            taken += 1;
        }
        tally.add(taken);
    }
}
