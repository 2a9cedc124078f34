//! A byte queue in one allocation: append at the end, take from the front.
//!
//! The shared out-buffer and every stream's unread bytes are made of these. An empty queue of a
//! stream holds no memory, so an idle stream costs only its bookkeeping.

use std::cell::Cell;

/// Bytes copied at a time. The C library copies what is longer by `rep movsb`, which some
/// processors (Zen 3 and 4) do many times slower where the target lies a few bytes further in its
/// page than the source, as behind a header it does (docs/decisions/041-cost-of-a-gigabyte.md).
pub(crate) const PIECE_BYTES: usize = 2048;

/// Largest memory that is kept for the next queue.
const SPARE_BYTES_MAX: usize = 512 * 1024;

thread_local! {
    /// Memory of a queue that ran empty, for the next that much is appended to: so a fast stream
    /// neither allocates nor grows, and a queue still holds nothing while it is empty.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    bytes: Vec<u8>,
    start: usize,
    /// Capacity that an emptied queue keeps.
    kept: usize,
}

impl ByteQueue {
    /// A queue that keeps up to `kept` bytes of capacity when it runs empty, until [`Self::trim`].
    pub(crate) fn keeping(kept: usize) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Gives the memory of an empty queue back.
    pub(crate) fn trim(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Appends `more`, first moving what is left to the front if that makes the room.
    pub(crate) fn push(&mut self, more: &[u8]) {
        if self.start > 0
            && self.bytes.len() + more.len() > self.bytes.capacity()
            && self.start >= self.len()
        {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.capacity() == 0 && more.len() >= PIECE_BYTES {
            self.bytes = SPARE.take();
        }
        self.bytes.reserve(more.len());
        for piece in more.chunks(PIECE_BYTES) {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Removes `n` bytes from the front; an emptied queue gives its memory back.
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "consumes no more than there is");
        self.start += n;
        if self.is_empty() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > self.kept {
                keep_spare(std::mem::take(&mut self.bytes));
            }
        }
    }
}

fn keep_spare(emptied: Vec<u8>) {
    if (PIECE_BYTES..=SPARE_BYTES_MAX).contains(&emptied.capacity()) {
        // The thread is ending where its storage is gone.
        let _kept = SPARE.try_with(|spare| spare.set(emptied));
    }
}
