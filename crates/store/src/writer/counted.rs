//! How writing goes, counted for whoever looks after the site.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counters of one process. All are relaxed: they are read seconds later.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    n_writes: AtomicU64,
    n_commits: AtomicU64,
    n_failed: AtomicU64,
    n_busy: AtomicU64,
    wait_us: AtomicU64,
    work_us: AtomicU64,
    commit_us: AtomicU64,
}

/// What was counted since the start of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WritesCounted {
    /// Steps that wrote; several may share a commit.
    pub n_writes: u64,
    /// Commits.
    pub n_commits: u64,
    /// Commits that failed, and with them all steps in them.
    pub n_failed: u64,
    /// Steps that gave up waiting for their turn.
    pub n_busy: u64,
    /// Microseconds that steps waited for their turn.
    pub wait_us: u64,
    /// Microseconds that steps worked.
    pub work_us: u64,
    /// Microseconds that commits took.
    pub commit_us: u64,
}

impl Counted {
    pub(super) fn waited(&self, since: Instant) {
        add_time(&self.wait_us, since);
    }

    pub(super) fn gave_up(&self) {
        self.n_busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn worked(&self, since: Instant) {
        self.n_writes.fetch_add(1, Ordering::Relaxed);
        add_time(&self.work_us, since);
    }

    pub(super) fn committed(&self, since: Instant, succeeded: bool) {
        let counter = if succeeded { &self.n_commits } else { &self.n_failed };
        counter.fetch_add(1, Ordering::Relaxed);
        add_time(&self.commit_us, since);
    }

    pub(crate) fn get(&self) -> WritesCounted {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WritesCounted {
            n_writes: number(&self.n_writes),
            n_commits: number(&self.n_commits),
            n_failed: number(&self.n_failed),
            n_busy: number(&self.n_busy),
            wait_us: number(&self.wait_us),
            work_us: number(&self.work_us),
            commit_us: number(&self.commit_us),
        }
    }
}

fn add_time(counter: &AtomicU64, since: Instant) {
    let us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    counter.fetch_add(us, Ordering::Relaxed);
}
