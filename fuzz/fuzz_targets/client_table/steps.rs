//! What the table does with streams, and what it wrote.

use std::task::Waker;
use std::time::Duration;

use rpc_core::client::{OpenError, RequestHead};
use rpc_core::frame::{Frame, Kind};
use rpc_core::stream::Shape;
use rpc_core::{Body, CallId, Metadata, input};

use crate::streams::{self, OnStream, Streamed};
use crate::{Call, END_LEN, MAX_STREAMS, Table};

impl Table {
    pub(crate) fn on_stream(&mut self, which: u8, step: OnStream) -> bool {
        let open = self.model.iter().filter(|(_, call)| call.ending.is_none() && call.stream.is_some());
        let ids: Vec<_> = open.map(|(id, _)| *id).collect();
        if let OnStream::Open { shape, deadline } = step {
            self.open_stream(streams::shape(shape), deadline, ids.len());
        } else if let OnStream::Fill { room } = step {
            self.fill(room.into());
        } else if let Some(id) = ids.get(usize::from(which) % ids.len().max(1)) {
            let stream = self.model.get_mut(id).and_then(|call| call.stream.as_mut()).expect("it is open");
            if let Some((kind, flags, body)) = stream.step(step) {
                let fine = self.receive(Frame { kind, flags, id: *id, body: Body::Borrowed(&body) });
                self.check();
                return fine;
            }
        }
        self.check();
        true
    }

    pub(crate) fn open_stream(&mut self, shape: Shape, deadline: Option<u8>, open: usize) {
        let head =
            RequestHead { method: "S.T", time_left: None, metadata: &Metadata::EMPTY, stream: Some(shape) };
        let room = self.calls.room() > 0;
        let before = self.out.len();
        match self.calls.open(head, &[], None, None, &mut self.out, self.sent) {
            Ok(id) => {
                assert!(room && self.going_away.is_none() && open < MAX_STREAMS as usize);
                let duplex = self.calls.stream(id).expect("it has one").clone();
                let deadline = deadline.map(|millis| self.now + Duration::from_millis(millis.into()));
                deadline.into_iter().for_each(|at| self.calls.set_deadline(id, at));
                self.last = id;
                // Without the End that may stand behind it.
                let end = self.sent + self.out.len() as u64 - if shape.sends() { 0 } else { END_LEN };
                let stream = Some(Streamed::new(duplex, shape, self.own, self.peer));
                let (waited_for, waker, expired, ending) = (false, false, false, None);
                self.model.insert(id, Call { end, waited_for, waker, deadline, expired, ending, stream });
            }
            Err(error) => {
                assert_eq!(self.out.len(), before, "what was not opened leaves no trace");
                match error {
                    OpenError::GoingAway => assert!(self.going_away.is_some()),
                    OpenError::Full => assert!(!room),
                    OpenError::TooManyStreams { .. } => assert_eq!(open, MAX_STREAMS as usize),
                    other => panic!("{other}"),
                }
            }
        }
    }

    pub(crate) fn fill(&mut self, room: usize) {
        let (hub, most) = (self.calls.hub().clone(), self.out.len() + room);
        hub.fill(hub.take(), &mut self.out, most, &mut Vec::new());
    }

    /// Everything that was sent is frames, with ids that grow and one Cancel for a call at most.
    pub(crate) fn check_wire(&mut self) {
        self.write(usize::MAX);
        let (mut input, mut at, mut last) = (input::Input::new(u32::MAX), 0, CallId::NONE);
        let (mut cancelled, mut finished) = (Vec::new(), Vec::new());
        while let Some(frame) = input.next(&self.wire, &mut at).expect("the client writes frames") {
            match frame.kind {
                Kind::Request => {
                    assert!(frame.id > last && self.model.contains_key(&frame.id));
                    last = frame.id;
                }
                Kind::Cancel => {
                    assert!(frame.id <= last && !cancelled.contains(&frame.id));
                    cancelled.push(frame.id);
                }
                Kind::Data | Kind::End => {
                    assert!(
                        frame.id <= last && !cancelled.contains(&frame.id) && !finished.contains(&frame.id)
                    );
                    if frame.kind == Kind::End {
                        finished.push(frame.id);
                    }
                }
                Kind::Credit => assert!(frame.id <= last && !cancelled.contains(&frame.id)),
                kind => assert_eq!(kind, Kind::Pong),
            }
        }
        assert!(input.is_empty());
        assert_eq!(last, self.last);
    }

    pub(crate) fn pick(&self, which: u8, fits: impl Fn(&Call) -> bool) -> Option<CallId> {
        let ids: Vec<_> = self.model.iter().filter(|(_, call)| fits(call)).map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| ids[usize::from(which) % ids.len()])
    }

    /// Of streams, those who wait have wakers of their own.
    pub(crate) fn check_woken(&self, woken: &[Waker], wakers: usize) {
        let streams = self.model.values().any(|call| call.stream.is_some());
        assert!(woken.len() == wakers || streams && woken.len() > wakers, "each is woken once");
    }
}
