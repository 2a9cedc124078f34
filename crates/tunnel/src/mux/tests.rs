//! Two state machines joined by a pipe of bytes, without sockets, tasks or time.

mod hostile;
mod pairs;
mod properties;

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::Mux;
use crate::error::StreamError;
use crate::{Limits, OpenError, Role, StreamKind};

/// Both ends of one tunnel and the clock they go by.
pub(super) struct Pair {
    pub(super) ends: [Mux; 2],
    pub(super) now: Instant,
}

/// The controller's and the supervisor's place in [`Pair::ends`].
pub(super) const C: usize = 0;
pub(super) const S: usize = 1;

impl Pair {
    pub(super) fn new() -> Self {
        let limits = Limits::supervisor();
        Self::with_limits(limits.clone(), limits)
    }

    pub(super) fn with_limits(controller: Limits, supervisor: Limits) -> Self {
        let now = Instant::now();
        let ends = [
            Mux::new(Role::Controller, controller, now),
            Mux::new(Role::Supervisor, supervisor, now),
        ];
        Self { ends, now }
    }

    /// Carries at most `n` bytes from one end to the other; answers how many.
    pub(super) fn carry(&mut self, from: usize, n: usize) -> usize {
        let mut bytes = Vec::new();
        for slice in self.ends[from].outbox.slices() {
            bytes.extend_from_slice(&slice);
        }
        bytes.truncate(n);
        self.ends[from].outbox.consume(bytes.len());
        self.ends[from].give_turns();
        if !bytes.is_empty() {
            self.ends[1 - from].receive(&bytes, self.now);
        }
        bytes.len()
    }

    /// Carries everything both ways until nothing moves.
    pub(super) fn settle(&mut self) {
        while self.carry(C, usize::MAX) + self.carry(S, usize::MAX) > 0 {}
    }

    /// Opens a stream from `from` and accepts it at the other end.
    pub(super) fn open(&mut self, from: usize) -> u32 {
        let id = self.ends[from].open(&StreamKind::App(80)).unwrap();
        self.settle();
        assert_eq!(self.next_incoming(1 - from), Some(id));
        self.ends[1 - from].accept(id);
        self.settle();
        assert_eq!(self.opened(from, id), Some(Ok(())));
        id
    }

    pub(super) fn opened(&mut self, end: usize, id: u32) -> Option<Result<(), OpenError>> {
        ready(self.ends[end].poll_opened(id, Waker::noop()))
    }

    pub(super) fn next_incoming(&mut self, end: usize) -> Option<u32> {
        ready(self.ends[end].poll_incoming(Waker::noop())).flatten().map(|(id, _)| id)
    }

    /// Writes as much of `bytes` as goes; `None` where nothing does for now.
    pub(super) fn write(
        &mut self,
        end: usize,
        id: u32,
        bytes: &[u8],
    ) -> Option<Result<usize, StreamError>> {
        let mux = &mut self.ends[end];
        let reserved = ready(mux.poll_reserve(id, bytes.len(), Waker::noop()))?;
        Some(reserved.inspect(|&n| mux.send(id, n, std::iter::once(bytes))))
    }

    /// Writes all of `bytes`, carrying what is in the way.
    pub(super) fn write_all(&mut self, end: usize, id: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.write(end, id, bytes) {
                Some(n) => bytes = &bytes[n.unwrap()..],
                None => assert!(self.carry(end, usize::MAX) > 0, "the writer is stuck"),
            }
        }
    }

    /// Takes what there is and credits it; an empty vector is the end of the stream.
    pub(super) fn read(&mut self, end: usize, id: u32) -> Option<Result<Vec<u8>, StreamError>> {
        let now = self.now;
        let taken = ready(self.ends[end].poll_take(id, 0, || now, Waker::noop()))?;
        Some(taken.map(|queue| {
            let n = u32::try_from(queue.len()).unwrap();
            self.ends[end].credit(id, n, || now);
            queue.as_slice().to_vec()
        }))
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn assert_alive(&self) {
        assert_eq!(self.ends[C].end(), None);
        assert_eq!(self.ends[S].end(), None);
    }
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
