//! What a handler takes and gives.

use super::*;

impl Feed {
    /// What it is to do next is no later than what it did.
    pub(super) fn take(&mut self, cx: &mut Context<'_>) {
        let mut handlers = lock(&self.handlers);
        let handler = handlers.get_mut(&self.id).expect("it has begun");
        if handler.drops_input {
            self.input = None;
        }
        while handler.may_take > 0
            && handler.input_ended.is_none()
            && let Some(input) = &mut self.input
            && let Poll::Ready(item) = Pin::new(input).poll_next(cx)
        {
            handler.may_take -= 1;
            match item {
                None => handler.input_ended = Some(true),
                Some(Err(_)) => handler.input_ended = Some(false),
                Some(Ok(item)) => {
                    let expected = body(self.id, true, handler.taken, item.len());
                    assert_eq!(item, expected, "{}: item {} is another", self.id, handler.taken);
                    handler.taken += 1;
                }
            }
        }
    }

    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<u32, Status>> {
        self.take(cx);
        let mut handlers = lock(&self.handlers);
        let handler = handlers.get_mut(&self.id).expect("it has begun");
        let waits = self.input.is_some() && handler.input_ended.is_none() && handler.may_take > 0;
        let Some(end) = handler.ends.filter(|_| !waits) else { return Poll::Pending };
        handler.ended = Some(end);
        let taken = handler.taken as u32;
        Poll::Ready(end.map(|()| taken).map_err(|()| Status::aborted("told to")))
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.take(cx);
        let mut handlers = lock(&this.handlers);
        let handler = handlers.get_mut(&this.id).expect("it has begun");
        if let Some(len) = handler.to_send.pop_front() {
            let item = body(this.id, false, handler.sent.len(), len);
            handler.sent.push(len);
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(end) = handler.ends else { return Poll::Pending };
        handler.ended = Some(end);
        Poll::Ready(end.err().map(|()| Err(Status::aborted("told to"))))
    }
}
