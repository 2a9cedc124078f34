//! How starts went, counted by whoever writes them into the records; each once, whichever controller is first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use history::latency::{Times, TimesCounted};
use model::{Outcome, Timestamp};

/// Counters. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Starts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    to_running: Times,
    to_ready: Times,
    n_ended: AtomicU64,
    n_not_started: AtomicU64,
    n_lost: AtomicU64,
}

/// What was counted since the start of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartsCounted {
    /// From the container's record to its program.
    pub to_running: TimesCounted,
    /// From the program to the first connection of each published port.
    pub to_ready: TimesCounted,
    /// Containers that ended after a start.
    pub n_ended: u64,
    /// Containers that could not be started.
    pub n_not_started: u64,
    /// Containers whose supervisor vanished.
    pub n_lost: u64,
}

impl Starts {
    pub(crate) fn running(&self, created_at: Timestamp, started_at: Timestamp) {
        self.0.to_running.add(between(created_at, started_at));
    }

    pub(crate) fn ready(&self, started_at: Timestamp, at: Timestamp) {
        self.0.to_ready.add(between(started_at, at));
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::FailedToStart => &self.0.n_not_started,
            Outcome::Lost => &self.0.n_lost,
            _ => &self.0.n_ended,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    pub fn get(&self) -> StartsCounted {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StartsCounted {
            to_running: self.0.to_running.get(),
            to_ready: self.0.to_ready.get(),
            n_ended: number(&self.0.n_ended),
            n_not_started: number(&self.0.n_not_started),
            n_lost: number(&self.0.n_lost),
        }
    }
}

/// Zero where clocks disagree.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.as_jiff().duration_since(from.as_jiff())).unwrap_or_default()
}
