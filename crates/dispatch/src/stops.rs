//! When an order to stop is not enough: who gets which signal now. No clock of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::ContainerUuid;
use tokio::time::Instant;

use crate::backend::EndHow;

/// A supervisor that was just launched, or whose controller was just restarted, connects within
/// this; one that does not is signalled instead.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// What a supervisor may take beyond the grace period: killing, and saving the output; 30 GB at 50 MB/s.
const CLEANING: Duration = Duration::from_secs(600);

/// Who is to be stopped, since when, and what was done about it.
#[derive(Debug)]
pub(crate) struct Stops {
    grace: Duration,
    going_on: BTreeMap<ContainerUuid, Stop>,
}

#[derive(Debug)]
struct Stop {
    since: Instant,
    done: Option<EndHow>,
}

impl Stops {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { grace, going_on: BTreeMap::new() }
    }

    /// True if nobody is to be stopped.
    pub(crate) fn is_empty(&self) -> bool {
        self.going_on.is_empty()
    }

    /// Takes the set of those to be stopped and says whom to signal, each signal once.
    pub(crate) fn next(
        &mut self,
        wanted: &BTreeSet<ContainerUuid>,
        now: Instant,
        is_connected: impl Fn(ContainerUuid) -> bool,
    ) -> Vec<(ContainerUuid, EndHow)> {
        self.going_on.retain(|uuid, _| wanted.contains(uuid));
        let mut signals = Vec::new();
        for uuid in wanted {
            let stop = self.going_on.entry(*uuid).or_insert(Stop { since: now, done: None });
            let waited = now.duration_since(stop.since);
            let how = if waited >= self.grace + CLEANING {
                EndHow::Kill
            } else if waited >= CONNECT_WITHIN && !is_connected(*uuid) {
                EndHow::Ask
            } else {
                continue;
            };
            if stop.done != Some(EndHow::Kill) && stop.done != Some(how) {
                stop.done = Some(how);
                signals.push((*uuid, how));
            }
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_come_late_and_each_once() {
        let uuid = ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap();
        let wanted: BTreeSet<_> = [uuid].into();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut stops = Stops::new(Duration::from_secs(10));
        assert_eq!(stops.next(&wanted, start, |_| false), []);
        assert_eq!(stops.next(&wanted, after(2), |_| true), [], "the order went by tunnel");
        assert_eq!(stops.next(&wanted, after(2), |_| false), [(uuid, EndHow::Ask)]);
        assert_eq!(stops.next(&wanted, after(3), |_| false), []);
        assert_eq!(stops.next(&wanted, after(700), |_| true), [(uuid, EndHow::Kill)]);
        assert_eq!(stops.next(&wanted, after(701), |_| false), []);
        assert_eq!(stops.next(&BTreeSet::new(), after(702), |_| false), []);
        assert!(stops.is_empty());
    }
}
