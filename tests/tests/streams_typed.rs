//! Streams through a contract: the generated client and server, in every shape and format.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rpc_client::{Client, Error};
use rpc_core::{Code, Context, Format, Status, Stream, Streaming, service};
use rpc_server::Server;
use serde::{Deserialize, Serialize};
use tests::{eventually, join, listen, pipe, within};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    by: String,
    text: String,
}

#[service]
trait Feed {
    /// Words of the service that begin with a text.
    #[rpc(idempotent)]
    async fn words(
        &self,
        cx: &Context,
        with: String,
    ) -> Result<impl Stream<Item = Result<String, Status>>, Status>;

    async fn upload(
        &self,
        cx: &Context,
        name: String,
        times: u8,
        chunks: Streaming<Bytes>,
    ) -> Result<(String, usize), Status>;

    /// All that is said, said by the service in that room.
    async fn chat(
        &self,
        cx: &Context,
        room: String,
        said: Streaming<Said>,
    ) -> Result<impl Stream<Item = Result<Said, Status>>, Status>;

    /// Errors that are no `Status`: one in place of the stream, one in it.
    async fn read(
        &self,
        cx: &Context,
        exists: bool,
    ) -> Result<impl Stream<Item = Result<u8, io::Error>>, std::fmt::Error>;

    /// The task that each item was made in.
    async fn tasks(&self, _cx: &Context) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
        Ok(tasks())
    }

    #[rpc(spawn)]
    async fn spawned_tasks(
        &self,
        _cx: &Context,
        times: Streaming<()>,
    ) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
        Ok(times.zip(tasks()).map(|(time, task)| time.and(task)))
    }

    /// The numbers that [`give`](Self::give) gives, waited for as only a thread of its own may.
    #[rpc(blocking)]
    async fn given(&self, cx: &Context) -> Result<impl Stream<Item = Result<u32, Status>>, Status>;

    async fn give(&self, cx: &Context, number: u32) -> Result<(), Status>;

    /// Counts without ever asking whether anybody listens.
    #[rpc(blocking)]
    async fn count(&self, _cx: &Context) -> Result<impl Stream<Item = Result<u64, Status>>, Status> {
        Ok(stream::iter(0..).map(Ok))
    }

    /// Waits for items, as [`count`](Self::count).
    #[rpc(blocking)]
    async fn sum(&self, cx: &Context, numbers: Streaming<u64>) -> Result<u64, Status> {
        let _ = cx;
        numbers.try_fold(0, async |sum, number| Ok(sum + number)).await
    }
}

fn tasks() -> impl Stream<Item = Result<String, Status>> {
    stream::repeat_with(|| Ok(format!("{:?}", tokio::task::try_id()))).take(3)
}

struct Library {
    words: Vec<String>,
    give: mpsc::SyncSender<u32>,
    given: std::sync::Mutex<mpsc::Receiver<u32>>,
}

impl Library {
    fn new() -> Self {
        let (give, given) = mpsc::sync_channel(10);
        let words = ["stream", "street", "water"].map(str::to_owned).to_vec();
        Self { words, give, given: given.into() }
    }
}

impl Feed for Library {
    async fn words(
        &self,
        cx: &Context,
        with: String,
    ) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
        if with.is_empty() {
            return Err(Status::invalid_argument("that would be all"));
        }
        cx.reply_metadata("of", self.words.len().to_string())?;
        let found = self.words.iter().filter(move |word| word.starts_with(&with));
        Ok(stream::iter(found).map(|word| {
            cx.reply_metadata("found", word)?;
            Ok(word.clone())
        }))
    }

    async fn upload(
        &self,
        _cx: &Context,
        name: String,
        times: u8,
        mut chunks: Streaming<Bytes>,
    ) -> Result<(String, usize), Status> {
        let mut len = 0;
        while let Some(chunk) = chunks.try_next().await? {
            len += chunk.len();
        }
        Ok((name.repeat(times.into()), len))
    }

    async fn chat(
        &self,
        _cx: &Context,
        room: String,
        said: Streaming<Said>,
    ) -> Result<impl Stream<Item = Result<Said, Status>>, Status> {
        Ok(said.map(move |said| {
            let said = said?;
            if !self.words.contains(&said.text) {
                return Err(Status::not_found(format!("{} said {:?}", said.by, said.text)));
            }
            Ok(Said { by: format!("{} in {room}", said.by), ..said })
        }))
    }

    async fn read(
        &self,
        _cx: &Context,
        exists: bool,
    ) -> Result<impl Stream<Item = Result<u8, io::Error>>, std::fmt::Error> {
        exists.then(|| stream::iter([Ok(1), Err(io::Error::other("torn"))])).ok_or(std::fmt::Error)
    }

    async fn given(&self, cx: &Context) -> Result<impl Stream<Item = Result<u32, Status>>, Status> {
        Ok(stream::repeat_with(|| {
            let given = self.given.lock().unwrap();
            // Some 20 s, in which the thread is never let go.
            for _ in 0..20_000 {
                if let Ok(number) = given.recv_timeout(Duration::from_millis(1)) {
                    return Ok(number);
                }
                if cx.cancel_reason().is_some() {
                    return Err(Status::cancelled("nobody listens"));
                }
            }
            Err(Status::deadline_exceeded("nothing was given"))
        }))
    }

    async fn give(&self, _cx: &Context, number: u32) -> Result<(), Status> {
        Ok(self.give.try_send(number)?)
    }
}

fn said(by: &str, text: &str) -> Said {
    Said { by: by.to_owned(), text: text.to_owned() }
}

async fn feed() -> (FeedClient<Client>, Server) {
    let (client, server) = join(Server::builder().register(FeedServer::new(Library::new()))).await;
    (FeedClient::new(client), server)
}

async fn assert_all_shapes(client: Client) {
    let feed = FeedClient::new(client);

    let mut words = within(feed.words("str".to_owned())).await.unwrap();
    assert_eq!(words.metadata().unwrap().text("of"), Some("3"));
    let found: Vec<_> = within(words.by_ref().try_collect()).await.unwrap();
    assert_eq!(found, ["stream", "street"]);
    assert_eq!(words.trailers().text("found"), Some("stream"), "from a context that the stream borrows");

    let (mut chunks, answer) = within(feed.upload("a".to_owned(), 3)).await.unwrap();
    for len in [0, 1, 100_000, 1 << 20] {
        within(chunks.send(Bytes::from(vec![1; len]))).await.unwrap();
    }
    chunks.finish();
    assert_eq!(within(answer).await.unwrap(), ("aaa".to_owned(), 1_148_577));

    let (mut say, mut heard) = within(feed.chat("kitchen".to_owned())).await.unwrap();
    for text in ["water", "street"] {
        within(say.send(said("Ada", text))).await.unwrap();
        assert_eq!(within(heard.next()).await.unwrap().unwrap(), said("Ada in kitchen", text));
    }
    say.finish();
    assert!(within(heard.next()).await.is_none());
}

#[tokio::test]
async fn a_contract_with_streams_works_in_every_format_over_tcp_and_a_pipe() {
    for format in [Format::Bincode, Format::Json] {
        let server = Server::builder().register(FeedServer::new(Library::new()));
        let (address, server) = listen(server).await;
        assert_all_shapes(Client::builder().format(format).connect(address).await.unwrap()).await;
        let client = Client::builder().format(format).over(pipe(&server)).await;
        assert_all_shapes(client.unwrap()).await;
    }
}

#[tokio::test]
async fn a_handlers_errors_become_the_callers_in_place_of_a_stream_and_in_it() {
    let (feed, _server) = feed().await;
    let refused = within(feed.words(String::new())).await.unwrap_err();
    assert_eq!(refused.status().unwrap().code(), Code::InvalidArgument);
    let refused = within(feed.read(false)).await.unwrap_err();
    assert_eq!(refused.status().unwrap().code(), Code::Unknown);

    let mut read = within(feed.read(true)).await.unwrap();
    assert_eq!(within(read.next()).await.unwrap().unwrap(), 1);
    let torn = within(read.next()).await.unwrap().unwrap_err();
    assert_eq!(torn.status().map(Status::message), Some("torn"));
    assert!(within(read.next()).await.is_none());

    let (mut say, mut heard) = within(feed.chat("hall".to_owned())).await.unwrap();
    within(say.send(said("Ada", "what"))).await.unwrap();
    let Some(Err(Error::Status { status, .. })) = within(heard.next()).await else { panic!("no status") };
    assert_eq!((status.code(), status.message()), (Code::NotFound, "Ada said \"what\""));
}

#[tokio::test]
async fn handlers_are_tested_alone_with_items_of_the_tests_own() {
    let (library, cx) = (Library::new(), Context::detached("Feed.Chat"));
    let chunks = Streaming::new(stream::iter(["two", "words"].map(|text| Ok(Bytes::from(text)))));
    assert_eq!(library.upload(&cx, "b".to_owned(), 1, chunks).await.unwrap(), ("b".to_owned(), 8));

    let gone = Err(Status::cancelled("gone"));
    let items = Streaming::new(stream::iter([Ok(said("Ada", "water")), gone]));
    let heard: Vec<_> = library.chat(&cx, "hall".to_owned(), items).await.unwrap().collect().await;
    let [Ok(first), Err(status)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((first, status.code()), (&said("Ada in hall", "water"), Code::Cancelled));
}

#[tokio::test]
async fn a_method_with_spawn_streams_from_a_task_of_its_own() {
    let (feed, _server) = feed().await;
    let inline: Vec<_> = within(within(feed.tasks()).await.unwrap().try_collect()).await.unwrap();
    assert_eq!(inline.len(), 3);
    let (mut times, tasks) = within(feed.spawned_tasks()).await.unwrap();
    for _ in 0..3 {
        within(times.send(())).await.unwrap();
    }
    times.finish();
    let spawned: Vec<String> = within(tasks.try_collect()).await.unwrap();
    assert_eq!(spawned.len(), 3);
    assert!(spawned.iter().all(|task| *task == spawned[0] && task.starts_with("Some")), "{spawned:?}");
    assert!(inline.iter().all(|task| *task == inline[0] && *task != spawned[0]), "{inline:?} {spawned:?}");
}

#[tokio::test]
async fn the_stream_of_a_method_with_blocking_may_block_and_asks_its_context_whether_to_go_on() {
    let (feed, server) = feed().await;
    let mut given = within(feed.given()).await.unwrap();
    for number in 0..5 {
        // It waits in its stream by now, or will. On the thread of this test nobody could give it anything.
        within(feed.give(number)).await.unwrap();
        assert_eq!(within(given.next()).await.unwrap().unwrap(), number);
    }
    drop(given);
    eventually("its thread is free", || server.stats().iter().all(|stats| stats.in_flight == 0)).await;
}

#[tokio::test]
async fn a_method_with_blocking_that_waits_for_its_caller_ends_when_the_call_is_given_up() {
    let (feed, server) = feed().await;
    let mut count = within(feed.count()).await.unwrap();
    assert_eq!(within(count.next()).await.unwrap().unwrap(), 0);
    let (mut numbers, sum) = within(feed.sum()).await.unwrap();
    within(numbers.send(1)).await.unwrap();
    let running = || server.stats().iter().map(|stats| stats.in_flight).sum::<u64>();
    eventually("both run", || running() == 2).await;
    drop((count, numbers, sum));
    eventually("their threads are free", || running() == 0).await;
}
