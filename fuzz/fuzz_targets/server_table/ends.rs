//! How calls end, and what has to hold after each step.

use super::*;

impl Table {
    /// Ends a call: one with a stream, every other time that there is one.
    pub(super) fn end(&mut self) {
        let streams = self.streams.len() as u32;
        let plain = self.admitted - self.ended - streams;
        let id = match streams > 0 && (plain == 0 || self.ended.is_multiple_of(2)) {
            true => self.streams.keys().next().copied(),
            false => None,
        };
        self.calls.end(id.unwrap_or(CallId::NONE));
        self.ended += 1;
        let Some((id, mut stream)) = id.and_then(|id| self.streams.remove_entry(&id)) else { return };
        let left = stream.flow.left.max(0) as u64;
        let late = if stream.flow.closed { 0 } else { left + left / 8 + 2 * u64::from(MAX_FRAME) };
        self.paid += late + u64::from(ITEM_COST);
        // What came stays for whoever holds on to it; nothing more goes out.
        assert!(stream.read(true), "there is an end");
        stream.end();
        self.over.push((id, stream));
    }

    /// A Data or an End for a call that is over.
    pub(super) fn late(&mut self, len: usize) -> Verdict {
        let cost = len as u64 + u64::from(ITEM_COST);
        if cost <= self.paid {
            self.paid -= cost;
            return Verdict::Fine;
        }
        self.drawn[1] += 1;
        if self.drawn[1] > BURST + self.waited / REFILL { Verdict::Excess } else { Verdict::Unpaid }
    }

    /// A stream that is not admitted pays for what its client sends before it knows.
    pub(super) fn forgo(&mut self, request: &Request<'_>) {
        if request.stream && request.admission != Admission::Admitted {
            let window = u64::from(self.limits.window);
            self.paid += window + window / 8 + 2 * u64::from(MAX_FRAME) + u64::from(ITEM_COST);
        }
    }

    pub(super) fn open_stream(&mut self, id: CallId) {
        let duplex = self.calls.open_stream(id, &self.hub, id.counter().is_multiple_of(2));
        let stream = Streamed::new(id, duplex, self.limits, &mut self.feeder);
        assert!(self.streams.insert(id, stream).is_none());
        let max_streams = self.limits.max_streams;
        assert!(self.streams.len() as u32 <= max_streams);
    }

    pub(super) fn on_stream(&mut self, which: u8, step: OnStream) -> Result<(), ProtocolError> {
        if let OnStream::Late { back, end, len, times } = step {
            return self.send_late(back, end, len.into(), times);
        }
        let at = usize::from(which) % self.streams.len().max(1);
        let Some((id, stream)) = self.streams.iter_mut().nth(at) else { return Ok(()) };
        if let OnStream::Fill { room } = step {
            self.fill(room.into());
            return Ok(());
        }
        if let Some((kind, flags, body, owned)) = stream.step(step) {
            let body = if owned { Body::Owned(Bytes::copy_from_slice(&body)) } else { Body::Borrowed(&body) };
            let id = *id;
            self.receive(Frame { kind, flags, id, body })?;
        }
        self.check();
        Ok(())
    }

    /// Frames for a call that may be over, or not have been a stream.
    pub(super) fn send_late(
        &mut self,
        back: u8,
        end: bool,
        len: usize,
        times: u8,
    ) -> Result<(), ProtocolError> {
        let (kind, body) = if end { (Kind::End, vec![]) } else { (Kind::Data, vec![0; len]) };
        let id = CallId::client(self.last.counter().saturating_sub(back.into()), self.last.slot());
        for _ in 0..times {
            self.receive(Frame { kind, flags: 0, id, body: Body::Borrowed(&body) })?;
        }
        Ok(())
    }

    pub(super) fn fill(&mut self, room: usize) {
        let most = self.out.len() + room;
        self.hub.fill(self.hub.take(), &mut self.out, most, &mut Vec::new());
    }

    pub(super) fn go_away(&mut self) {
        let go_away = GoAway { reason: GoAwayReason::Shutdown, message: "bye".to_owned() };
        self.calls.go_away(&go_away, &mut self.out);
        self.going_away.get_or_insert(self.last);
    }

    pub(super) fn check(&self) {
        assert_eq!(self.calls.in_flight(), self.admitted - self.ended);
        assert!(self.calls.in_flight() <= self.limit);
        assert_eq!(self.calls.is_going_away(), self.going_away.is_some());
    }

    /// What the table wrote is frames, and a GoAway never names a higher id than the one before.
    pub(super) fn check_wire(&self) {
        let (wire, mut at, mut lowest) = (self.out.to_vec(), 0, None);
        let (mut input, mut streams, mut heads) = (input::Input::new(u32::MAX), Wire::default(), Vec::new());
        while let Some(frame) = input.next(&wire, &mut at).expect("the server writes frames") {
            match frame.kind {
                Kind::GoAway => {
                    assert!(lowest.is_none_or(|lowest| frame.id <= lowest));
                    lowest = Some(frame.id);
                }
                Kind::Response => {
                    assert!(frame.flags == flags::MORE && !heads.contains(&frame.id));
                    heads.push(frame.id);
                }
                Kind::Data | Kind::Credit => {
                    assert!(frame.kind == Kind::Credit || heads.contains(&frame.id), "there is no head");
                    streams.take(&frame, MIN_MAX_FRAME);
                }
                kind => assert_eq!(kind, Kind::Pong),
            }
        }
        assert!(input.is_empty());
        for (id, stream) in &self.over {
            stream.check_wire(*id, &streams);
        }
    }
}
