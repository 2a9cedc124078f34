//! What one end knows of one stream.

use std::task::Waker;
use std::time::Instant;

use crate::RefuseReason;
use crate::limits::WINDOW_BYTES_START;
use crate::outbox::SendMark;
use crate::queue::ByteQueue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// We sent OPEN and wait for the answer.
    Opening,
    /// The peer sent OPEN and waits for ours.
    Asked,
    /// Answered: bytes may flow.
    Live,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about the two directions")]
pub(super) struct Entry {
    pub(super) phase: Phase,
    /// A handle exists that will call `drop_handle`, `refuse` or `poll_opened`.
    pub(super) held: bool,
    pub(super) refused: Option<RefuseReason>,
    pub(super) fin_sent: bool,
    pub(super) fin_received: bool,
    pub(super) reset_received: bool,
    /// Waits in the queue of writers for room in the outbox.
    pub(super) queued: bool,
    /// The round in which this stream was promised room for one frame.
    pub(super) granted_round: u64,
    /// Bytes we may send.
    pub(super) send_credit: u32,
    /// Bytes the peer may send.
    pub(super) peer_credit: u32,
    /// Bytes the handle has read and the peer has not been credited with.
    pub(super) uncredited: u32,
    /// Size of the receive window: `peer_credit`, unread and uncredited bytes together.
    pub(super) window: u32,
    pub(super) credited_at: Option<Instant>,
    pub(super) unread: ByteQueue,
    pub(super) mark: SendMark,
    pub(super) read_waker: Option<Waker>,
    pub(super) write_waker: Option<Waker>,
}

impl Entry {
    pub(super) fn new(phase: Phase, held: bool) -> Self {
        Self {
            phase,
            held,
            refused: None,
            fin_sent: false,
            fin_received: false,
            reset_received: false,
            queued: false,
            granted_round: 0,
            send_credit: WINDOW_BYTES_START,
            peer_credit: WINDOW_BYTES_START,
            uncredited: 0,
            window: WINDOW_BYTES_START,
            credited_at: None,
            unread: ByteQueue::default(),
            mark: SendMark::default(),
            read_waker: None,
            write_waker: None,
        }
    }

    /// Nothing is left to tell the peer.
    pub(super) fn is_over(&self) -> bool {
        self.reset_received || (self.fin_sent && self.fin_received)
    }
}

/// Remembers `waker`, without a clone where it is remembered already.
pub(crate) fn set_waker(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(held) => held.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
