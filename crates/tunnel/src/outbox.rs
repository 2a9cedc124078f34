//! What waits to be written to the connection: two byte queues of whole frames.
//!
//! *Urgent* holds answers, credit and the small writes of streams that send little; *bulk* holds
//! the rest. Urgent goes first, but never inside a bulk frame, and after each urgent batch one
//! bulk frame has its turn. So a small request waits for at most one bulk frame however much bulk
//! is queued, bulk is not starved, and the frames of many streams leave in one write.
//!
//! Order within a stream holds because a stream with unsent bulk bytes sends all it has to say
//! about its bytes (DATA, FIN, RESET) through bulk as well; [`SendMark`] remembers that.

use std::io::IoSlice;

use crate::frame::{FrameType, HEADER_BYTES, Header};
use crate::limits::FRAME_BYTES_SENT;
use crate::queue::ByteQueue;

/// Largest DATA payload that goes as urgent, and most a stream may send urgently per batch.
const URGENT_BYTES_PER_STREAM: usize = 16 * 1024;

/// Urgent bytes beyond which data goes to bulk.
const URGENT_DATA_BYTES_MAX: usize = 64 * 1024;

/// Capacity the urgent queue keeps between batches.
const URGENT_KEPT_BYTES: usize = 2 * URGENT_DATA_BYTES_MAX;

#[derive(Debug)]
pub(crate) struct Outbox {
    urgent: ByteQueue,
    bulk: ByteQueue,
    /// Rest of the bulk frame that must leave before anything urgent may.
    bulk_head: usize,
    /// Bulk bytes ever queued, and ever sent: where a stream's last bulk byte is (`SendMark`).
    bulk_queued: u64,
    bulk_sent: u64,
    /// Counts the times urgent ran empty.
    batch: u64,
    bulk_bytes_max: usize,
}

/// A stream's place in the outbox.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SendMark {
    bulk_end: u64,
    batch: u64,
    batch_bytes: usize,
}

impl Outbox {
    pub(crate) fn new(bulk_bytes_max: usize) -> Self {
        Self {
            urgent: ByteQueue::keeping(URGENT_KEPT_BYTES),
            bulk: ByteQueue::keeping(2 * (bulk_bytes_max + FRAME_BYTES_SENT)),
            bulk_head: 0,
            bulk_queued: 0,
            bulk_sent: 0,
            batch: 1,
            bulk_bytes_max,
        }
    }

    /// Gives unused memory back; called now and then.
    pub(crate) fn trim(&mut self) {
        self.urgent.trim();
        self.bulk.trim();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.bulk.is_empty()
    }

    pub(crate) fn urgent_len(&self) -> usize {
        self.urgent.len()
    }

    /// Bulk bytes that may still be queued.
    pub(crate) fn bulk_room(&self) -> usize {
        self.bulk_bytes_max.saturating_sub(self.bulk.len())
    }

    /// Data bytes that this stream may send urgently now.
    pub(crate) fn urgent_room(&self, mark: &SendMark) -> usize {
        if mark.bulk_end > self.bulk_sent || self.urgent.len() >= URGENT_DATA_BYTES_MAX {
            return 0;
        }
        if mark.batch == self.batch {
            URGENT_BYTES_PER_STREAM.saturating_sub(mark.batch_bytes)
        } else {
            URGENT_BYTES_PER_STREAM
        }
    }

    /// Queues a frame that has no place among a stream's bytes: answers, credit, pings, opens.
    pub(crate) fn push_control(&mut self, header: Header, payload: &[u8]) {
        self.urgent.push(&header.encode());
        self.urgent.push(payload);
    }

    /// Queues a payload-free frame behind the stream's own bytes: FIN, RESET.
    pub(crate) fn push_in_order(&mut self, mark: &mut SendMark, header: Header) {
        if mark.bulk_end > self.bulk_sent {
            self.bulk.push(&header.encode());
            self.count_bulk(mark, HEADER_BYTES);
        } else {
            self.urgent.push(&header.encode());
        }
    }

    /// Queues one DATA frame of `len` bytes, at most [`FRAME_BYTES_SENT`], gathered from `parts`.
    pub(crate) fn push_data<'a>(
        &mut self,
        mark: &mut SendMark,
        id: u32,
        len: usize,
        parts: impl Iterator<Item = &'a [u8]>,
    ) {
        debug_assert!(0 < len && len <= FRAME_BYTES_SENT, "frames are neither empty nor too long");
        let urgent = len <= self.urgent_room(mark);
        let queue = if urgent { &mut self.urgent } else { &mut self.bulk };
        #[expect(clippy::cast_possible_truncation, reason = "at most FRAME_BYTES_SENT")]
        queue.push(&Header::new(FrameType::Data, len as u32, id).encode());
        let mut left = len;
        for part in parts {
            let part = &part[..part.len().min(left)];
            queue.push(part);
            left -= part.len();
            if left == 0 {
                break;
            }
        }
        debug_assert_eq!(left, 0, "the parts hold what was announced");
        if urgent {
            if mark.batch != self.batch {
                mark.batch = self.batch;
                mark.batch_bytes = 0;
            }
            mark.batch_bytes += len;
        } else {
            self.count_bulk(mark, HEADER_BYTES + len);
        }
    }

    /// Queues a frame behind everything else.
    pub(crate) fn push_last(&mut self, header: Header) {
        if self.bulk.is_empty() {
            self.urgent.push(&header.encode());
        } else {
            self.bulk.push(&header.encode());
            self.bulk_queued += HEADER_BYTES as u64;
        }
    }

    fn count_bulk(&mut self, mark: &mut SendMark, n: usize) {
        self.bulk_queued += n as u64;
        mark.bulk_end = self.bulk_queued;
    }

    /// What to write next, in order. Empty slices stand for nothing.
    pub(crate) fn slices(&self) -> [IoSlice<'_>; 3] {
        let (head, rest) = self.bulk.as_slice().split_at(self.bulk_head);
        [IoSlice::new(head), IoSlice::new(self.urgent.as_slice()), IoSlice::new(rest)]
    }

    /// Notes that the first `n` bytes of [`Self::slices`] were written.
    pub(crate) fn consume(&mut self, n: usize) {
        let from_head = n.min(self.bulk_head);
        self.consume_bulk(from_head);
        self.bulk_head -= from_head;
        if self.bulk_head > 0 {
            return;
        }
        let from_urgent = (n - from_head).min(self.urgent.len());
        self.urgent.consume(from_urgent);
        if !self.urgent.is_empty() {
            return;
        }
        self.batch += 1;
        self.consume_bulk_frames(n - from_head - from_urgent);
    }

    /// Consumes `n` bytes of bulk from a frame boundary on, and commits the frame at the new
    /// front: it leaves next, whatever urgent comes.
    fn consume_bulk_frames(&mut self, n: usize) {
        let bulk = self.bulk.as_slice();
        let mut end = 0;
        while end < bulk.len() && end <= n {
            end += frame_len(&bulk[end..]);
        }
        self.consume_bulk(n);
        self.bulk_head = end - n;
    }

    fn consume_bulk(&mut self, n: usize) {
        self.bulk.consume(n);
        self.bulk_sent += n as u64;
    }
}

/// Length of the frame at the front of our own queue, header included.
fn frame_len(queue: &[u8]) -> usize {
    let mut header = [0; HEADER_BYTES];
    header.copy_from_slice(&queue[..HEADER_BYTES]);
    let header = Header::decode(header).expect("the outbox holds frames encoded by us");
    HEADER_BYTES + header.payload_len()
}

#[cfg(test)]
mod tests;
