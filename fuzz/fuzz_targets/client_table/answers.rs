//! What the server sends, and what has to hold after that.

use super::*;

impl Table {
    pub(super) fn receive(&mut self, frame: Frame<'_>) -> bool {
        let Frame { kind, flags, id, .. } = frame;
        let body = frame.body.as_slice().to_vec();
        let mut woken = Vec::new();
        let call = self.model.get_mut(&id).filter(|call| call.ending.is_none());
        let of_stream = call.as_ref().is_some_and(|call| call.stream.is_some());
        let mut wakes = false;
        let verdict = match call.and_then(|call| call.stream.as_mut()) {
            Some(stream) => {
                let verdict = stream.receive(&frame);
                wakes = stream.is_to_wake();
                verdict
            }
            None if matches!(kind, Kind::Data | Kind::End | Kind::Credit) => Some(Verdict::Breach),
            None => None,
        };
        let result = self.calls.receive(frame, self.now, &mut woken);
        if let Some(verdict) = verdict {
            verdict.check(&result);
        }
        let event = match result {
            Ok(event) => {
                assert!(!wakes || !woken.is_empty(), "items came and nobody was told");
                event
            }
            Err(_) => {
                assert!(of_stream || woken.is_empty(), "a breach ends no call");
                return false;
            }
        };
        let ends = match kind {
            Kind::Response => flags & flags::MORE == 0,
            Kind::Status | Kind::End => true,
            _ => false,
        };
        if of_stream && ends {
            let call = self.model.get_mut(&id).expect("it is open");
            call.ending = Some(Ending::Response(None));
            let stream = call.stream.as_mut().expect("it has one");
            stream.ended(kind, &body, flags);
            return true;
        }
        if of_stream && !matches!(kind, Kind::Ping | Kind::Pong | Kind::GoAway) {
            return true;
        }
        match (kind, event) {
            (Kind::Response | Kind::Status, Event::Nothing) => {
                let call = self.model.get_mut(&id).expect("only an opened call is answered");
                assert_eq!(call.ending, None, "{id} ended twice");
                call.ending = Some(match kind {
                    Kind::Response => Ending::Response((flags == 0).then_some(body)),
                    _ => Ending::Status,
                });
                assert_eq!(woken.len(), usize::from(std::mem::take(&mut call.waker)));
            }
            (Kind::GoAway, Event::GoAway(_)) => {
                assert!(self.going_away.is_none_or(|before| id <= before), "a GoAway grew");
                self.going_away = Some(id);
                self.end_all(&woken, |other, _| (other > id).then_some(Executed::No));
            }
            (Kind::Pong, Event::Pong(token)) => assert_eq!(token, id.to_wire()),
            (Kind::Ping, Event::Nothing) => assert!(self.calls.owes_pong()),
            (kind, event) => panic!("{kind:?} was taken as {event:?}"),
        }
        true
    }

    pub(super) fn end_all(&mut self, woken: &[Waker], verdict: impl Fn(CallId, &Call) -> Option<Executed>) {
        let mut wakers = 0;
        for (id, call) in &mut self.model {
            if call.ending.is_none()
                && let Some(executed) = verdict(*id, call)
            {
                call.ending = Some(Ending::Lost(executed));
                if let Some(stream) = &mut call.stream {
                    stream.over = true;
                }
                wakers += usize::from(std::mem::take(&mut call.waker));
            }
        }
        self.check_woken(woken, wakers);
    }

    /// Of streams, those who wait have wakers of their own.
    pub(super) fn check_woken(&self, woken: &[Waker], wakers: usize) {
        let streams = self.model.values().any(|call| call.stream.is_some());
        assert!(woken.len() == wakers || streams && woken.len() > wakers, "each is woken once");
    }

    pub(super) fn disconnect(&mut self, written: u64) {
        let mut woken = Vec::new();
        self.calls.disconnect(written, &mut woken);
        self.end_all(&woken, |_, call| Some(if call.end > written { Executed::No } else { Executed::Maybe }));
        self.check();
        assert_eq!(self.calls.in_flight(), 0);
    }

    pub(super) fn on_stream(&mut self, which: u8, step: OnStream) -> bool {
        let open = self.model.iter().filter(|(_, call)| call.ending.is_none() && call.stream.is_some());
        let ids: Vec<_> = open.map(|(id, _)| *id).collect();
        if let OnStream::Open { shape, deadline } = step {
            self.open_stream(streams::shape(shape), deadline, ids.len());
        } else if let OnStream::Fill { room } = step {
            self.fill(room.into());
        } else if let Some(id) = ids.get(usize::from(which) % ids.len().max(1)) {
            let stream = self.model.get_mut(id).and_then(|call| call.stream.as_mut()).expect("it is open");
            if let Some((kind, flags, body, owned)) = stream.step(step) {
                let body =
                    if owned { Body::Owned(Bytes::copy_from_slice(&body)) } else { Body::Borrowed(&body) };
                let fine = self.receive(Frame { kind, flags, id: *id, body });
                self.check();
                return fine;
            }
        }
        self.check();
        true
    }

    pub(super) fn open_stream(&mut self, shape: Shape, deadline: Option<u8>, open: usize) {
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

    pub(super) fn fill(&mut self, room: usize) {
        let (hub, most) = (self.calls.hub().clone(), self.out.len() + room);
        hub.fill(hub.take(), &mut self.out, most, &mut Vec::new());
    }

    pub(super) fn take_all(&mut self) {
        while let Some(id) = self.pick(0, |call| call.waited_for) {
            self.poll(id);
            assert!(!self.model[&id].waited_for, "{id} never ended");
        }
        for stream in self.model.values_mut().filter_map(|call| call.stream.as_mut()) {
            assert!(stream.read(), "a stream never ended");
        }
    }

    pub(super) fn check(&self) {
        let open = self.model.values().filter(|call| call.ending.is_none()).count();
        assert_eq!(self.calls.in_flight() as usize, open);
        assert!(open as u32 <= self.limit);
        assert_eq!(self.calls.is_going_away(), self.going_away.is_some());
    }

    pub(super) fn write(&mut self, count: usize) {
        let bytes = self.out.to_vec();
        let count = count.min(bytes.len());
        self.wire.extend_from_slice(&bytes[..count]);
        self.out.advance(count);
        self.sent += count as u64;
    }

    /// Everything that was sent is frames, with ids that grow and one Cancel for a call at most.
    pub(super) fn check_wire(&mut self) {
        self.write(usize::MAX);
        let (mut input, mut at, mut last) = (input::Input::new(u32::MAX), 0, CallId::NONE);
        let (mut cancelled, mut streams) = (Vec::new(), Wire::default());
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
                Kind::Data | Kind::End | Kind::Credit => {
                    assert!(frame.id <= last && !cancelled.contains(&frame.id));
                    streams.take(&frame, self.peer.max_frame);
                }
                kind => assert_eq!(kind, Kind::Pong),
            }
        }
        assert!(input.is_empty());
        assert_eq!(last, self.last);
        for (id, call) in &self.model {
            if let Some(stream) = &call.stream {
                stream.check_wire(*id, &streams);
            }
        }
    }

    pub(super) fn pick(&self, which: u8, fits: impl Fn(&Call) -> bool) -> Option<CallId> {
        let ids: Vec<_> = self.model.iter().filter(|(_, call)| fits(call)).map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| ids[usize::from(which) % ids.len()])
    }
}
