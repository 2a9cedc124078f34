//! What the peer sends: bytes → frames → changes of state. Everything here is written for a
//! hostile peer; whatever an honest one would never send is a [`Violation`].
//!
//! Frames need not be complete: data is passed on as it comes, only headers and OPEN payloads are
//! held together, so the driver's read buffer keeps nothing between reads.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::entry::{Entry, Phase};
use super::{Mux, set_waker};
use crate::error::StreamError;
use crate::frame::{FrameType, HEADER_BYTES, Header};
use crate::kind::Decoded;
use crate::limits::{FRAME_BYTES_MAX, OPEN_BYTES_MAX, WINDOW_BYTES_MAX};
use crate::queue::ByteQueue;
use crate::{CloseReason, GoAway, RefuseReason, StreamKind, Violation};

/// Half a window read within this time is quick however near the peer is: on one machine a ping
/// takes 50 µs, but under load both ends wait longer than that for their turn.
const QUICK: Duration = Duration::from_micros(500);

/// Where in the byte stream we are.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    /// The frame whose payload is coming, and how much of it is still to come.
    payload: Option<(Header, usize)>,
    open_payload: Vec<u8>,
}

impl Decoder {
    /// Takes header bytes from the front of `input`; answers a header once it is complete.
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Violation> {
        let n = input.len().min(HEADER_BYTES - self.header_filled);
        let (taken, rest) = input.split_at(n);
        self.header[self.header_filled..self.header_filled + n].copy_from_slice(taken);
        self.header_filled += n;
        *input = rest;
        if self.header_filled < HEADER_BYTES {
            return Ok(None);
        }
        self.header_filled = 0;
        Header::decode(self.header).map(Some)
    }
}

impl Mux {
    /// Takes in what the connection brought. A violation ends the tunnel.
    pub(crate) fn receive(&mut self, input: &[u8], now: Instant) {
        self.keepalive.hear();
        self.woken.append(&mut self.life_wakers);
        if let Err(violation) = self.receive_frames(input, now) {
            self.close(CloseReason::Violation(violation), GoAway::Violation);
        }
    }

    fn receive_frames(&mut self, mut input: &[u8], now: Instant) -> Result<(), Violation> {
        while !input.is_empty() && self.end.is_none() {
            if let Some((header, left)) = self.decoder.payload {
                let (part, rest) = input.split_at(input.len().min(left));
                input = rest;
                let left = left - part.len();
                self.decoder.payload = (left > 0).then_some((header, left));
                self.on_payload(header, part, left == 0)?;
            } else if let Some(header) = self.decoder.header(&mut input)? {
                self.on_header(header, now)?;
                if header.payload_len() > 0 {
                    self.decoder.payload = Some((header, header.payload_len()));
                }
            }
        }
        Ok(())
    }

    fn on_header(&mut self, header: Header, now: Instant) -> Result<(), Violation> {
        let Header { frame_type, value, id } = header;
        match frame_type {
            FrameType::Open => self.check_open(id, value),
            FrameType::Accept => self.on_answer(id, None),
            FrameType::Refuse => self.on_answer(id, Some(RefuseReason::from_code(value))),
            FrameType::Data => self.on_data(id, value),
            FrameType::Fin => self.on_fin(id),
            FrameType::Reset => self.on_reset(id),
            FrameType::Window => self.on_window(id, value),
            FrameType::Ping => {
                self.keepalive.answer()?;
                self.outbox.push_control(Header::new(FrameType::Pong, 0, id), &[]);
                self.check_answers()
            }
            FrameType::Pong => self.keepalive.pong(id, now),
            FrameType::GoAway => {
                self.fail_all(CloseReason::PeerClosed(GoAway::from_code(value)));
                Ok(())
            }
        }
    }

    fn on_payload(&mut self, header: Header, part: &[u8], last: bool) -> Result<(), Violation> {
        if header.frame_type == FrameType::Open {
            self.decoder.open_payload.extend_from_slice(part);
            return if last { self.on_open(header.id) } else { Ok(()) };
        }
        // A stream that was dropped here, or reset by the peer, has nobody to read it.
        if let Some(entry) = self.streams.get_mut(&header.id)
            && !entry.reset_received
        {
            entry.unread.push(part);
            self.woken.extend(entry.read_waker.take());
        }
        Ok(())
    }

    fn check_open(&mut self, id: u32, payload_bytes: u32) -> Result<(), Violation> {
        if id == 0 || self.is_local(id) || id <= self.last_remote {
            return Err(Violation::BadOpenId(id));
        }
        if payload_bytes > OPEN_BYTES_MAX {
            return Err(Violation::OpenTooLong(payload_bytes));
        }
        if payload_bytes == 0 {
            return Err(Violation::BadOpen);
        }
        self.last_remote = id;
        Ok(())
    }

    fn on_open(&mut self, id: u32) -> Result<(), Violation> {
        let decoded = StreamKind::decode(&self.decoder.open_payload);
        self.decoder.open_payload = Vec::new();
        let refusal = match decoded {
            Decoded::Malformed => return Err(Violation::BadOpen),
            Decoded::Unknown => RefuseReason::Unsupported,
            Decoded::Known(_) if !self.accepting => RefuseReason::Unsupported,
            Decoded::Known(_) if self.is_full() => RefuseReason::Busy,
            Decoded::Known(kind) => {
                self.streams.insert(id, Entry::new(Phase::Asked, false));
                self.n_remote += 1;
                self.backlog.push_back((id, kind));
                self.woken.extend(self.accept_waker.take());
                return Ok(());
            }
        };
        self.outbox.push_control(Header::new(FrameType::Refuse, refusal.code(), id), &[]);
        self.check_answers()
    }

    fn is_full(&self) -> bool {
        self.n_remote >= self.limits.incoming_streams_max
            || self.backlog.len() >= self.limits.accept_backlog
    }

    /// Answers pile up only when the peer asks and does not read.
    fn check_answers(&self) -> Result<(), Violation> {
        if self.outbox.urgent_len() > self.limits.answer_bytes_max {
            return Err(Violation::AnswerFlood);
        }
        Ok(())
    }

    fn on_answer(&mut self, id: u32, refused: Option<RefuseReason>) -> Result<(), Violation> {
        self.check_known(id)?;
        let entry = match self.streams.get_mut(&id) {
            Some(entry) if entry.phase == Phase::Opening && entry.refused.is_none() => entry,
            Some(_) | None => return Err(Violation::UnexpectedAnswer(id)),
        };
        if !entry.held {
            // Taken back meanwhile; the RESET is on its way.
            self.remove(id);
            return Ok(());
        }
        match refused {
            Some(_) => entry.refused = refused,
            None => entry.phase = Phase::Live,
        }
        self.woken.extend(entry.read_waker.take());
        Ok(())
    }

    fn on_data(&mut self, id: u32, len: u32) -> Result<(), Violation> {
        if len > FRAME_BYTES_MAX {
            return Err(Violation::FrameTooLong(len));
        }
        if len == 0 {
            return Err(Violation::EmptyData);
        }
        let Some(entry) = self.live(id)? else { return Ok(()) };
        if entry.fin_received {
            return Err(Violation::AfterFin(id));
        }
        entry.peer_credit =
            entry.peer_credit.checked_sub(len).ok_or(Violation::WindowExceeded(id))?;
        Ok(())
    }

    fn on_fin(&mut self, id: u32) -> Result<(), Violation> {
        let Some(entry) = self.live(id)? else { return Ok(()) };
        if std::mem::replace(&mut entry.fin_received, true) {
            return Err(Violation::AfterFin(id));
        }
        let waker = entry.read_waker.take();
        self.woken.extend(waker);
        Ok(())
    }

    fn on_reset(&mut self, id: u32) -> Result<(), Violation> {
        self.check_known(id)?;
        let Some(entry) = self.streams.get_mut(&id) else { return Ok(()) };
        match entry.phase {
            Phase::Opening => Err(Violation::BeforeAccept(id)),
            Phase::Asked => {
                entry.phase = Phase::Live;
                entry.reset_received = true;
                if !entry.held {
                    self.remove(id);
                    self.backlog.retain(|(waiting, _)| *waiting != id);
                }
                let refuse = Header::new(FrameType::Refuse, RefuseReason::Gone.code(), id);
                self.outbox.push_control(refuse, &[]);
                self.check_answers()
            }
            Phase::Live => {
                entry.reset_received = true;
                self.woken.extend(entry.read_waker.take());
                self.woken.extend(entry.write_waker.take());
                Ok(())
            }
        }
    }

    fn on_window(&mut self, id: u32, credit: u32) -> Result<(), Violation> {
        let Some(entry) = self.live(id)? else { return Ok(()) };
        let raised = entry.send_credit.saturating_add(credit);
        if credit == 0 || raised > WINDOW_BYTES_MAX {
            return Err(Violation::WindowOverflow(id));
        }
        entry.send_credit = raised;
        let waker = entry.write_waker.take();
        self.woken.extend(waker);
        Ok(())
    }

    /// The live stream of this id; `None` where its handle was dropped meanwhile.
    fn live(&mut self, id: u32) -> Result<Option<&mut Entry>, Violation> {
        self.check_known(id)?;
        match self.streams.get_mut(&id) {
            Some(entry) if entry.phase != Phase::Live => Err(Violation::BeforeAccept(id)),
            found => Ok(found),
        }
    }

    fn check_known(&self, id: u32) -> Result<(), Violation> {
        let known = if self.is_local(id) { id < self.next_local } else { id <= self.last_remote };
        if id == 0 || !known {
            return Err(Violation::UnknownStream(id));
        }
        Ok(())
    }

    /// Hands a stream's unread bytes to its handle, after crediting the peer with `read` bytes
    /// that the handle has passed on. An empty queue is the end of the stream. What had arrived
    /// before a reset or the end of the tunnel can still be read.
    pub(crate) fn poll_take(
        &mut self,
        id: u32,
        read: u32,
        now: impl FnOnce() -> Instant,
        waker: &Waker,
    ) -> Poll<Result<ByteQueue, StreamError>> {
        self.credit(id, read, now);
        let end = self.end;
        let Some(entry) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(StreamError::Reset));
        };
        if !entry.unread.is_empty() || entry.fin_received {
            return Poll::Ready(Ok(std::mem::take(&mut entry.unread)));
        }
        if entry.reset_received {
            return Poll::Ready(Err(StreamError::Reset));
        }
        if let Some(reason) = end {
            return Poll::Ready(Err(StreamError::TunnelEnded(reason)));
        }
        set_waker(&mut entry.read_waker, waker);
        Poll::Pending
    }

    /// Counts `read` bytes as passed on; once half the window has been, the peer gets it back. A
    /// window that is used up within two round trips, or at once, is too small for the path and
    /// grows.
    pub(crate) fn credit(&mut self, id: u32, read: u32, now: impl FnOnce() -> Instant) {
        let Some(entry) = self.streams.get_mut(&id) else { return };
        entry.uncredited += read;
        if entry.uncredited < entry.window / 2
            || entry.fin_received
            || entry.reset_received
            || self.end.is_some()
        {
            return;
        }
        let now = now();
        let mut credit = std::mem::take(&mut entry.uncredited);
        let quick = match (entry.credited_at.replace(now), self.keepalive.round_trip()) {
            (Some(before), Some(round_trip)) => {
                now.saturating_duration_since(before) < (2 * round_trip).max(QUICK)
            }
            _ => false,
        };
        if quick {
            let allowed = self.limits.window_growth_bytes_max.saturating_sub(self.window_growth);
            let growth = entry.window.min(self.limits.window_bytes_max - entry.window);
            let growth = u32::try_from(allowed).unwrap_or(u32::MAX).min(growth);
            entry.window += growth;
            self.window_growth += u64::from(growth);
            credit += growth;
        }
        entry.peer_credit += credit;
        self.outbox.push_control(Header::new(FrameType::Window, credit, id), &[]);
    }
}
