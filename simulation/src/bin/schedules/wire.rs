//! One stream: who sends, who echoes, who reads, each on a thread of its own, and the connection's task
//! between both ends.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rpc_core::frame::{Kind, flags};
use rpc_core::input::Input;
use rpc_core::output::Output;
use rpc_core::{CallId, Format, Limits, Metadata};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;

use crate::executor::{join, spawn};
use crate::stream::{Batch, Closed, Duplex, Hub, Next, Outcome, Parcel, Shape, Side};

/// So small that every other item waits for credit.
const WINDOW: u32 = 100;

const ITEMS: u8 = 5;

const ID: CallId = CallId::client(1, 0);

struct Stage {
    client: Arc<Duplex>,
    server: Arc<Duplex>,
    task: Wire,
    end: Arc<End>,
}

/// Whether the handler has ended, and who wants to know.
#[derive(Default)]
struct End {
    state: Mutex<(bool, Option<Waker>)>,
}

impl End {
    fn set(&self) {
        let mut state = self.state.lock().expect("no thread panics");
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state.lock().expect("no thread panics");
        state.1 = Some(cx.waker().clone());
        state.0
    }
}

fn stage() -> Stage {
    let limits = Limits { window: WINDOW, ..Limits::default() };
    let [client_hub, server_hub] =
        [Side::Client, Side::Server].map(|side| Hub::new(side, limits, limits, None));
    let client = Duplex::opened_by_client(ID, client_hub.clone(), Shape::Bidi);
    let server = Duplex::opened_to_server(ID, server_hub.clone(), true);
    let end = Arc::<End>::default();
    let task = Wire {
        hubs: [client_hub, server_hub],
        ends: [client.clone(), server.clone()],
        inputs: [(); 2].map(|()| Input::new(limits.max_frame)),
        end: end.clone(),
        answered: false,
        over: false,
    };
    Stage { client, server, task, end }
}

/// Both tasks of the connection in one.
struct Wire {
    hubs: [Arc<Hub>; 2],
    ends: [Arc<Duplex>; 2],
    inputs: [Input; 2],
    end: Arc<End>,
    answered: bool,
    over: bool,
}

impl Wire {
    async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.over {
            // The handler's end is looked for first: its items went out before it.
            let ended = !self.answered && self.end.poll(cx);
            let [client, server] = [0, 1].map(|from| self.cross(from, cx));
            if ended {
                self.answered = true;
                let mut out = Output::default();
                out.put(Kind::End, 0, ID, &[]);
                self.deliver(1, &out.to_vec());
                // The server's table forgets the stream with its last frame.
                self.finish();
            } else if !client && !server {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    fn finish(&mut self) {
        let mut woken = Vec::new();
        self.ends[1].end(Outcome::GivenUp, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// What one end has to send reaches the other; whether there was anything.
    fn cross(&mut self, from: usize, cx: &Context<'_>) -> bool {
        if !self.hubs[from].poll(cx.waker()) {
            return false;
        }
        let (mut out, mut woken) = (Output::default(), Vec::new());
        let most = thread_rng().gen_range(1..300);
        self.hubs[from].fill(self.hubs[from].take(), &mut out, most, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        self.deliver(from, &out.to_vec());
        true
    }

    fn deliver(&mut self, from: usize, bytes: &[u8]) {
        let (to, mut at, mut woken) = (1 - from, 0, Vec::new());
        while let Some(frame) = self.inputs[to].next(bytes, &mut at).expect("frames") {
            if self.over || to == 1 && self.answered {
                continue;
            }
            let end = &self.ends[to];
            match frame.kind {
                Kind::Data => woken.extend(end.receive(frame.flags, frame.body).expect("an honest peer")),
                Kind::Credit => {
                    let increment = frame.body.as_slice().first_chunk().expect("four bytes");
                    let (_, sender) = end.add_credit(u32::from_be_bytes(*increment)).expect("an honest peer");
                    woken.extend(sender);
                }
                Kind::Response => {
                    assert_eq!(frame.flags, flags::MORE);
                    woken.extend(end.open(Metadata::EMPTY).expect("an honest peer"));
                }
                Kind::End if to == 1 => woken.extend(end.half_close().expect("an honest peer")),
                Kind::End => {
                    end.complete(Metadata::EMPTY, &mut woken).expect("an honest peer");
                    self.over = true;
                }
                // As the server does with a handler that is given up: it is dropped, and its call answered.
                Kind::Cancel => {
                    end.end(Outcome::GivenUp, &mut woken);
                    self.ends[0].end(Outcome::GivenUp, &mut woken);
                    self.over = true;
                }
                kind => panic!("{kind:?} of a stream"),
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Sends an item; false when the call is over.
async fn send(duplex: &Arc<Duplex>, item: &[u8]) -> bool {
    let mut parcel = Parcel::default();
    let large = parcel.pack(Format::Bincode, &item.to_vec(), u32::MAX).expect("bytes can be encoded");
    assert!(large.is_none());
    poll_fn(|cx| duplex.poll_send(&mut parcel, cx)).await != Err(Closed)
}

/// Takes items, one after the other.
struct Items {
    duplex: Arc<Duplex>,
    batch: Batch,
}

impl Items {
    fn of(duplex: Arc<Duplex>) -> Self {
        Self { duplex, batch: Batch::default() }
    }

    async fn next(&mut self) -> Result<Vec<u8>, Outcome> {
        loop {
            if let Some((len, item)) = self.batch.pop() {
                let item = Format::Bincode.decode(item).expect("what was encoded");
                self.duplex.consume(1, len as u64);
                return Ok(item);
            }
            let Self { duplex, batch } = self;
            if let Next::End(outcome) = poll_fn(|cx| duplex.poll_items(cx, batch)).await {
                return Err(outcome);
            }
        }
    }

    /// Takes all of them, which come in their order; how many there were, and how they ended.
    async fn all(mut self) -> (u8, Outcome) {
        for count in 0.. {
            match self.next().await {
                Ok(seen) => assert_eq!(seen, item(count)),
                Err(outcome) => return (count, outcome),
            }
        }
        unreachable!("there are no more than {ITEMS}")
    }
}

fn item(number: u8) -> Vec<u8> {
    vec![number; 30 * usize::from(number)]
}

async fn echo(server: Arc<Duplex>, end: Arc<End>) {
    server.put_head(&Metadata::EMPTY).expect("it fits");
    let mut items = Items::of(server.clone());
    while let Ok(item) = items.next().await {
        send(&server, &item).await;
    }
    // An error if the call was given up.
    let _ = poll_fn(|cx| server.poll_flushed(cx)).await;
    end.set();
}

/// All items come back, in their order.
pub(crate) fn echoing() {
    let Stage { client, server, task, end } = stage();
    let sender = client.clone();
    let threads = [
        spawn(task.run()),
        spawn(echo(server, end)),
        spawn(async move {
            for number in 0..ITEMS {
                assert!(send(&sender, &item(number)).await, "nothing ends the call before its items do");
            }
            sender.finish();
        }),
        spawn(async move {
            let (next, outcome) = Items::of(client).all().await;
            assert!(matches!(outcome, Outcome::Complete), "{outcome:?}");
            assert_eq!(next, ITEMS, "items are missing");
        }),
    ];
    join(threads);
}

/// The caller goes at any moment: nobody waits for ever.
pub(crate) fn giving_up() {
    let Stage { client, server, task, end } = stage();
    let (sender, leaver) = (client.clone(), client.clone());
    let threads = [
        spawn(task.run()),
        spawn(echo(server, end)),
        spawn(async move {
            for number in 0..ITEMS {
                if !send(&sender, &item(number)).await {
                    return;
                }
            }
            sender.finish();
        }),
        spawn(async move {
            let (next, outcome) = Items::of(client).all().await;
            let complete = matches!(outcome, Outcome::Complete) && next == ITEMS;
            assert!(complete || matches!(outcome, Outcome::GivenUp), "{outcome:?} after {next} items");
        }),
        spawn(async move { leaver.give_up() }),
    ];
    join(threads);
}
