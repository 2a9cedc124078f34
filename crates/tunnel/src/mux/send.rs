//! What this end sends: credit, room in the shared outbox, and whose turn it is.
//!
//! A writer needs credit from the peer and room in the outbox. Room is given in turns: who finds
//! none waits in a queue, and when bytes have left, the first in the queue are each promised room
//! for one frame. Small writes of streams that have nothing queued need no turn (see `outbox`).

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use super::entry::Phase;
use super::{Mux, set_waker};
use crate::error::StreamError;
use crate::frame::{FrameType, Header};
use crate::limits::FRAME_BYTES_SENT;

#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: VecDeque<u32>,
    /// Counts rounds of promises; only those of the last round hold.
    round: u64,
    /// Room promised in this round and not used yet.
    promised: usize,
}

impl Mux {
    /// How many of `want` bytes the stream may send now, as one frame.
    pub(crate) fn poll_reserve(
        &mut self,
        id: u32,
        want: usize,
        waker: &Waker,
    ) -> Poll<Result<usize, StreamError>> {
        let end = self.end;
        let Some(entry) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(StreamError::Reset));
        };
        if entry.fin_sent {
            return Poll::Ready(Err(StreamError::ShutDown));
        }
        if entry.reset_received {
            return Poll::Ready(Err(StreamError::Reset));
        }
        if let Some(reason) = end {
            return Poll::Ready(Err(StreamError::TunnelEnded(reason)));
        }
        debug_assert_eq!(entry.phase, Phase::Live, "handles exist only for answered streams");
        let want = want.min(FRAME_BYTES_SENT).min(entry.send_credit as usize);
        if want == 0 {
            set_waker(&mut entry.write_waker, waker);
            return Poll::Pending;
        }
        let urgent = self.outbox.urgent_room(&entry.mark);
        let in_turn = entry.granted_round == self.turns.round && self.turns.promised > 0;
        let free = self.turns.waiting.is_empty() && self.outbox.bulk_room() > self.turns.promised;
        if want <= urgent || in_turn || free {
            return Poll::Ready(Ok(want));
        }
        if urgent > 0 {
            return Poll::Ready(Ok(urgent));
        }
        if !std::mem::replace(&mut entry.queued, true) {
            self.turns.waiting.push_back(id);
        }
        set_waker(&mut entry.write_waker, waker);
        Poll::Pending
    }

    /// Fails if the stream is broken, and else wakes the writer when it breaks.
    pub(crate) fn check_alive(&mut self, id: u32, waker: &Waker) -> Result<(), StreamError> {
        let Some(entry) = self.streams.get_mut(&id) else { return Err(StreamError::Reset) };
        if entry.reset_received {
            return Err(StreamError::Reset);
        }
        if let Some(reason) = self.end {
            return Err(StreamError::TunnelEnded(reason));
        }
        set_waker(&mut entry.write_waker, waker);
        Ok(())
    }

    /// Sends `len` bytes, no more than was just reserved, gathered from `parts`.
    pub(crate) fn send<'a>(&mut self, id: u32, len: usize, parts: impl Iterator<Item = &'a [u8]>) {
        let Some(entry) = self.streams.get_mut(&id) else { return };
        #[expect(clippy::cast_possible_truncation, reason = "reserved: within u32 credit")]
        let spent = len as u32;
        entry.send_credit -= spent;
        if entry.granted_round == self.turns.round && self.turns.promised > 0 {
            entry.granted_round = 0;
            self.turns.promised = self.turns.promised.saturating_sub(FRAME_BYTES_SENT);
        }
        self.outbox.push_data(&mut entry.mark, id, len, parts);
    }

    /// Half-closes: FIN behind what was sent, once.
    pub(crate) fn finish(&mut self, id: u32) -> Result<(), StreamError> {
        let Some(entry) = self.streams.get_mut(&id) else { return Err(StreamError::Reset) };
        if entry.fin_sent {
            return Ok(());
        }
        if entry.reset_received {
            return Err(StreamError::Reset);
        }
        if let Some(reason) = self.end {
            return Err(StreamError::TunnelEnded(reason));
        }
        entry.fin_sent = true;
        self.outbox.push_in_order(&mut entry.mark, Header::new(FrameType::Fin, 0, id));
        Ok(())
    }

    /// True while writers wait for a turn; the driver should come and give some.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.turns.waiting.is_empty()
    }

    /// Gives the next turns, as far as there is room. True when writers still wait although
    /// nothing is queued: then nobody but the caller will come back for them.
    pub(crate) fn give_turns(&mut self) -> bool {
        let room = self.outbox.bulk_room();
        if self.turns.waiting.is_empty() || room == 0 {
            return false;
        }
        self.turns.round += 1;
        self.turns.promised = 0;
        while self.turns.promised < room {
            let Some(id) = self.turns.waiting.pop_front() else { break };
            let Some(entry) = self.streams.get_mut(&id) else { continue };
            entry.queued = false;
            entry.granted_round = self.turns.round;
            self.turns.promised += FRAME_BYTES_SENT;
            self.woken.extend(entry.write_waker.take());
        }
        self.outbox.is_empty() && !self.turns.waiting.is_empty()
    }
}
