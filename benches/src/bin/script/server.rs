//! The server's side of the connection, with its handlers.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use benches::contract::{ArithServer, EchoServer, Handlers};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rpc_core::frame::Frame;
use rpc_core::input::Input;
use rpc_core::lane::{Lane, Running};
use rpc_core::message::Method;
use rpc_core::output::Output;
use rpc_core::server::{Admission, Calls, Event, Request};
use rpc_core::stream::{Hub, Side};
use rpc_core::{Context as CallContext, Limits, Origin, Peer, Service, Status, Streaming};

use crate::FORMAT;
use crate::streams::{FILL, ITEM};
use crate::wire::receive;

pub(crate) struct Server {
    input: Input,
    session: Session,
}

struct Session {
    calls: Calls,
    hub: Arc<Hub>,
    out: Output,
    services: Vec<Service>,
    lanes: Vec<Box<dyn Lane>>,
    /// The call with a stream, until its handler has ended.
    waiting: Option<Box<dyn Running>>,
    now: Instant,
}

impl Server {
    pub(crate) fn new(now: Instant) -> Self {
        let limits = Limits::default();
        let session = Session {
            calls: Calls::new(limits),
            hub: Hub::new(Side::Server, limits, limits, None),
            out: Output::default(),
            services: vec![ArithServer::new(Handlers).into(), EchoServer::new(Handlers).into(), items()],
            lanes: Vec::new(),
            waiting: None,
            now,
        };
        Self { input: Input::new(limits.max_frame), session }
    }

    /// Takes what came; what goes out then.
    pub(crate) fn turn(&mut self, came: &[u8]) -> Result<&mut Output> {
        let Self { input, session } = self;
        receive(input, came, |frame| session.take(frame))?;
        session.go_on();
        Ok(&mut session.out)
    }
}

impl Session {
    fn take(&mut self, frame: Frame<'_>) -> Result<()> {
        match self.calls.receive(frame, self.now)? {
            Event::Request(request) => self.request(request)?,
            Event::Stream(waker) => waker.wake(),
            Event::Nothing => {}
            other => bail!("not in the script: {other:?}"),
        }
        Ok(())
    }

    fn request(&mut self, request: Request<'_>) -> Result<()> {
        ensure!(request.admission == Admission::Admitted);
        let index = match request.method {
            Method::Known(index) => index,
            Method::New { index, name, .. } => {
                self.introduce(&name)?;
                index
            }
            Method::Once { .. } => bail!("not remembered"),
        };
        let duplex = request.stream.then(|| self.calls.open_stream(request.id, &self.hub, true));
        let lane = &mut self.lanes[usize::from(index) - 1];
        lane.open(request.id, request.time_left.map(|left| self.now + left), request.metadata, duplex);
        lane.begin(request.body).map_err(|status| anyhow!("refused: {}", status.message()))?;
        if lane.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            lane.reply(Limits::default().max_frame, &mut self.out);
            self.calls.end(request.id);
        } else {
            ensure!(request.stream && self.waiting.is_none(), "the handler waits");
            self.waiting = Some(lane.detach());
        }
        Ok(())
    }

    fn introduce(&mut self, name: &[u8]) -> Result<()> {
        let full = std::str::from_utf8(name)?;
        let (service, method) = full.rsplit_once('.').context("no dot")?;
        let service = self.services.iter().find(|known| known.name() == service).context("no service")?;
        let method = service.methods().iter().find(|known| known.name() == method).context("no method")?;
        let origin = Origin::new(Peer::unknown(), FORMAT);
        self.lanes.push(method.lane(origin.into(), full.into()));
        Ok(())
    }

    /// Polls the handler that was not ready, and appends what it has to send.
    fn go_on(&mut self) {
        let Self { calls, hub, out, waiting, .. } = self;
        let Some(running) = waiting else { return };
        if running.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            running.reply(Limits::default().max_frame, out);
            calls.end(running.context().id());
            *waiting = None;
        }
        let (before, mut woken) = (out.len(), Vec::new());
        hub.fill(hub.take(), out, before + FILL, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Streams of so many items.
fn items() -> Service {
    Service::new("Items")
        .server_stream("Take", |_: CallContext, count: usize| async move {
            let item = Bytes::from(vec![7; ITEM]);
            Ok::<_, Status>(stream::repeat_with(move || Ok::<_, Status>(item.clone())).take(count))
        })
        .client_stream("Put", |_: CallContext, (): (), mut items: Streaming<Bytes>| async move {
            let mut count = 0usize;
            while let Some(item) = items.try_next().await? {
                count += usize::from(item.len() == ITEM);
            }
            Ok::<_, Status>(count)
        })
}
