//! What the frames of the server mean.

use std::task::Waker;
use std::time::Instant;

use super::slot::{Done, Slot, State};
use super::{Calls, Event};
use crate::body::Body;
use crate::call_id::CallId;
use crate::error::ProtocolError;
use crate::frame::{Frame, Kind, flags};
use crate::message::{self, Fields, GoAway};
use crate::metadata::Metadata;
#[cfg(planted)]
use crate::planted::{Bug, is_planted};
use crate::status::Executed;

impl Calls {
    /// Takes a frame from the server. Wakers of the calls that it ended go to `woken`.
    ///
    /// # Errors
    /// A breach of the protocol; the connection cannot go on.
    #[inline]
    pub fn receive(
        &mut self,
        frame: Frame<'_>,
        now: Instant,
        woken: &mut Vec<Waker>,
    ) -> Result<Event, ProtocolError> {
        let Frame { kind, flags, id, body } = frame;
        match kind {
            Kind::Response => {
                if flags & flags::COMPRESSED != 0 {
                    return Err(ProtocolError::UnknownFlags { kind, flags });
                }
                let slot = open_slot(&mut self.slots, kind, id)?;
                let mut fields = Fields::new(kind, body.as_slice());
                let metadata = fields.metadata(flags)?.unwrap_or_default();
                let taken = fields.taken();
                if let Some(duplex) = &slot.stream {
                    if flags & flags::MORE != 0 {
                        woken.extend(duplex.open(metadata)?);
                        return Ok(Event::Nothing);
                    }
                    duplex.reply(metadata, body.skip(taken), woken);
                    self.end(id, Done::Response { metadata: Metadata::EMPTY, large: None }, woken);
                    return Ok(Event::Nothing);
                }
                if flags & flags::MORE != 0 {
                    return Err(ProtocolError::UnexpectedKind { kind, id });
                }
                let large = match body.skip(taken) {
                    Body::Owned(bytes) => Some(bytes),
                    Body::Borrowed(bytes) => {
                        slot.buffer.clear();
                        slot.buffer.extend_from_slice(bytes);
                        None
                    }
                };
                self.end(id, Done::Response { metadata, large }, woken);
            }
            Kind::Status => {
                open_slot(&mut self.slots, kind, id)?;
                let status = message::read_status(flags, body)?;
                self.end(id, Done::Status(Box::new(status)), woken);
            }
            Kind::Ping => {
                if !self.budget.ping(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                self.pong = Some(id.to_wire());
            }
            Kind::Pong => {
                if !self.budget.pong(now) {
                    return Err(ProtocolError::CalmDown { kind });
                }
                return Ok(Event::Pong(id.to_wire()));
            }
            Kind::GoAway => {
                let go_away = GoAway::read(body.as_slice())?;
                if let Some(before) = self.going_away
                    && id > before
                {
                    return Err(ProtocolError::GoAwayGrew { id, before });
                }
                self.going_away = Some(id);
                self.lose(|slot| (slot.id > id).then_some(Executed::No), woken);
                return Ok(Event::GoAway(go_away));
            }
            Kind::Data | Kind::End | Kind::Credit => {
                let slot = open_slot(&mut self.slots, kind, id)?;
                let duplex = slot.stream.as_ref().ok_or(ProtocolError::UnexpectedKind { kind, id })?;
                match kind {
                    Kind::Data => woken.extend(duplex.receive(flags, body)?),
                    Kind::Credit => {
                        let (paid, sender) = duplex.add_credit(message::read_credit(body.as_slice())?)?;
                        woken.extend(sender);
                        if !paid && !self.budget.draw(now) {
                            return Err(ProtocolError::CalmDown { kind });
                        }
                    }
                    _ => {
                        let metadata =
                            Fields::new(kind, body.as_slice()).metadata(flags)?.unwrap_or_default();
                        duplex.complete(metadata, woken)?;
                        self.end(id, Done::Response { metadata: Metadata::EMPTY, large: None }, woken);
                    }
                }
            }
            Kind::Request | Kind::Cancel => {
                return Err(ProtocolError::UnexpectedKind { kind, id });
            }
        }
        Ok(Event::Nothing)
    }
}

#[inline]
fn open_slot(slots: &mut [Slot], kind: Kind, id: CallId) -> Result<&mut Slot, ProtocolError> {
    #[cfg(planted)]
    let id = if is_planted(Bug::ReusedSlot) { slots[usize::from(id.slot())].id } else { id };
    slots
        .get_mut(usize::from(id.slot()))
        .filter(|slot| slot.id == id && matches!(slot.state, State::Open | State::Expired | State::Abandoned))
        .ok_or(ProtocolError::UnknownCall { kind, id })
}
