//! The tunnel's state machine, without input or output: bytes in, bytes out, wakers to wake.
//!
//! One [`Mux`] is one end of one tunnel. Handles change it under a lock; the driver feeds it what
//! the connection brought (`receive`) and writes what its outbox holds (`send`).
//!
//! A stream's life, seen from one end:
//!
//! ```text
//!   we OPEN ──▶ Opening ──ACCEPT──▶ Live ──FIN both ways, RESET, or handle dropped──▶ gone
//! peer OPENs ─▶ Asked ──we ACCEPT──▶ Live
//! Opening ──REFUSE──▶ gone          Asked ──we REFUSE, or peer RESETs──▶ gone
//! ```
//!
//! Invariants: every OPEN is answered exactly once, also when its opener has RESET it meanwhile,
//! so an opener cannot flood the peer with opens it takes back. Ids rise and are never reused, so
//! frames that cross a RESET are recognised and dropped. An entry lives as long as its handle, so
//! the limits on streams also bound the tasks that serve them.

mod entry;
mod keepalive;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::frame::{FrameType, Header};
use crate::limits::{Limits, Role, WINDOW_BYTES_MAX, WINDOW_BYTES_START};
use crate::outbox::Outbox;
use crate::{CloseReason, GoAway, OpenError, RefuseReason, StreamKind};
use entry::{Entry, Phase};
use keepalive::KeepAlive;
use receive::Decoder;

pub(crate) use entry::set_waker;

#[derive(Debug)]
pub(crate) struct Mux {
    role: Role,
    limits: Limits,
    streams: HashMap<u32, Entry, BuildHasherDefault<IdHasher>>,
    next_local: u32,
    last_remote: u32,
    n_local: usize,
    n_remote: usize,
    /// Streams the peer asked for and nobody has looked at.
    backlog: VecDeque<(u32, StreamKind)>,
    /// False once `Incoming` is gone: opens are refused.
    accepting: bool,
    accept_waker: Option<Waker>,
    decoder: Decoder,
    pub(crate) outbox: Outbox,
    turns: send::Turns,
    keepalive: KeepAlive,
    /// What all windows have grown beyond their start.
    window_growth: u64,
    end: Option<CloseReason>,
    /// Who waits for a sign of life.
    life_wakers: Vec<Waker>,
    /// Whom to wake once the lock is free.
    woken: Vec<Waker>,
}

impl Mux {
    pub(crate) fn new(role: Role, mut limits: Limits, now: Instant) -> Self {
        limits.window_bytes_max =
            limits.window_bytes_max.clamp(WINDOW_BYTES_START, WINDOW_BYTES_MAX);
        let mut outbox = Outbox::new(limits.out_buffer_bytes);
        let keepalive = KeepAlive::start(now, &limits, &mut outbox);
        Self {
            role,
            streams: HashMap::default(),
            next_local: role.first_id(),
            last_remote: 0,
            n_local: 0,
            n_remote: 0,
            backlog: VecDeque::new(),
            accepting: true,
            accept_waker: None,
            decoder: Decoder::default(),
            outbox,
            turns: send::Turns::default(),
            keepalive,
            window_growth: 0,
            end: None,
            life_wakers: Vec::new(),
            woken: Vec::new(),
            limits,
        }
    }

    pub(crate) fn end(&self) -> Option<CloseReason> {
        self.end
    }

    pub(crate) fn n_streams(&self) -> usize {
        self.streams.len()
    }

    /// Bytes that arrived and no handle has taken.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn n_unread_bytes(&self) -> u64 {
        self.streams.values().map(|entry| entry.unread.len() as u64).sum()
    }

    /// Moves the wakers to be woken into `into`.
    pub(crate) fn take_woken(&mut self, into: &mut Vec<Waker>) {
        into.append(&mut self.woken);
    }

    /// Starts a stream of ours; the answer comes through [`Self::poll_opened`].
    pub(crate) fn open(&mut self, kind: &StreamKind) -> Result<u32, OpenError> {
        if self.end.is_some() {
            return Err(OpenError::Closed);
        }
        let id = self.next_local;
        if self.n_local >= self.limits.outgoing_streams_max || id > u32::MAX - 2 {
            return Err(OpenError::TooMany);
        }
        self.next_local += 2;
        self.n_local += 1;
        self.streams.insert(id, Entry::new(Phase::Opening, true));
        let payload = kind.encode();
        #[expect(clippy::cast_possible_truncation, reason = "kinds encode to a few bytes")]
        let header = Header::new(FrameType::Open, payload.len() as u32, id);
        self.outbox.push_control(header, &payload);
        Ok(id)
    }

    /// The answer to an `open`. After `Err` the stream is gone; its handle need not be dropped.
    pub(crate) fn poll_opened(&mut self, id: u32, waker: &Waker) -> Poll<Result<(), OpenError>> {
        let Some(entry) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(OpenError::Closed));
        };
        if let Some(reason) = entry.refused {
            self.remove(id);
            return Poll::Ready(Err(OpenError::Refused { reason }));
        }
        if entry.phase == Phase::Live {
            return Poll::Ready(Ok(()));
        }
        if self.end.is_some() {
            self.remove(id);
            return Poll::Ready(Err(OpenError::Closed));
        }
        set_waker(&mut entry.read_waker, waker);
        Poll::Pending
    }

    /// The next stream the peer asks for. `None` once the tunnel has ended.
    pub(crate) fn poll_incoming(&mut self, waker: &Waker) -> Poll<Option<(u32, StreamKind)>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        let Some((id, kind)) = self.backlog.pop_front() else {
            set_waker(&mut self.accept_waker, waker);
            return Poll::Pending;
        };
        if let Some(entry) = self.streams.get_mut(&id) {
            entry.held = true;
        }
        Poll::Ready(Some((id, kind)))
    }

    /// Nobody will accept any more: what waits and what comes is refused.
    pub(crate) fn stop_accepting(&mut self) {
        self.accepting = false;
        for (id, _) in std::mem::take(&mut self.backlog) {
            self.refuse(id, RefuseReason::Unsupported);
        }
    }

    /// Accepts a stream handed out by [`Self::poll_incoming`].
    pub(crate) fn accept(&mut self, id: u32) {
        if let Some(entry) = self.streams.get_mut(&id)
            && entry.phase == Phase::Asked
        {
            entry.phase = Phase::Live;
            self.outbox.push_control(Header::new(FrameType::Accept, 0, id), &[]);
        }
    }

    /// Refuses a stream, unless its opener has taken it back already.
    pub(crate) fn refuse(&mut self, id: u32, reason: RefuseReason) {
        if let Some(entry) = self.remove(id)
            && entry.phase == Phase::Asked
            && self.end.is_none()
        {
            self.outbox.push_control(Header::new(FrameType::Refuse, reason.code(), id), &[]);
        }
    }

    /// The handle is gone: RESET, unless both ends had finished.
    pub(crate) fn drop_handle(&mut self, id: u32) {
        let Some(entry) = self.streams.get_mut(&id) else { return };
        if self.end.is_none() && !entry.is_over() {
            let header = Header::new(FrameType::Reset, 0, id);
            self.outbox.push_in_order(&mut entry.mark, header);
            if entry.phase == Phase::Opening {
                // Kept until the peer has answered the OPEN.
                entry.held = false;
                return;
            }
        }
        self.remove(id);
    }

    /// Ends the tunnel from this side, with a goodbye behind everything queued.
    pub(crate) fn close(&mut self, reason: CloseReason, goodbye: GoAway) {
        if self.end.is_none() {
            self.outbox.push_last(Header::new(FrameType::GoAway, goodbye.code(), 0));
            self.fail_all(reason);
        }
    }

    /// Ends the tunnel: every stream, open and accept fails from now on. The first reason stays.
    pub(crate) fn fail_all(&mut self, reason: CloseReason) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(reason);
        self.backlog.clear();
        self.woken.extend(self.accept_waker.take());
        self.woken.append(&mut self.life_wakers);
        for entry in self.streams.values_mut() {
            self.woken.extend(entry.read_waker.take());
            self.woken.extend(entry.write_waker.take());
        }
        self.streams.retain(|_, entry| entry.held);
    }

    /// Asks the peer for a sign of life; the answer is for [`Self::poll_life`].
    pub(crate) fn ask_for_life(&mut self, now: Instant) -> u64 {
        self.keepalive.ask(now, &mut self.outbox)
    }

    /// Whether anything came from the peer since it was asked; false once the tunnel has ended.
    pub(crate) fn poll_life(&mut self, asked: u64, waker: &Waker) -> Poll<bool> {
        if self.end.is_some() {
            return Poll::Ready(false);
        }
        if self.keepalive.n_heard() > asked {
            return Poll::Ready(true);
        }
        self.life_wakers.push(waker.clone());
        Poll::Pending
    }

    /// Does what is due by now: pings, and the end of a silent peer. Answers when to come again.
    pub(crate) fn tick(&mut self, now: Instant) -> Instant {
        self.outbox.trim();
        match self.keepalive.tick(now, &mut self.outbox) {
            Ok(next) => next,
            Err(keepalive::PeerSilent) => {
                self.fail_all(CloseReason::PeerSilent);
                now
            }
        }
    }

    fn is_local(&self, id: u32) -> bool {
        id % 2 == self.role.first_id() % 2
    }

    fn remove(&mut self, id: u32) -> Option<Entry> {
        let entry = self.streams.remove(&id)?;
        self.window_growth -= u64::from(entry.window.saturating_sub(WINDOW_BYTES_START));
        if self.is_local(id) {
            self.n_local -= 1;
        } else {
            self.n_remote -= 1;
        }
        Some(entry)
    }
}

/// Hashes a stream id by one multiplication. Ids rise one by one and the number of streams is
/// limited, so a peer has nothing to gain from collisions.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
