//! A byte queue in one allocation: append at the end, take from the front.
//!
//! The shared out-buffer and every stream's unread bytes are made of these. An empty queue of a
//! stream holds no memory, so an idle stream costs only its bookkeeping.

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
        self.bytes.extend_from_slice(more);
    }

    /// Removes `n` bytes from the front; an emptied queue gives its memory back.
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "consumes no more than there is");
        self.start += n;
        if self.is_empty() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > self.kept {
                self.bytes = Vec::new();
            }
        }
    }
}
