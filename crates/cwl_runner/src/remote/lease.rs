//! How long what was submitted may go on without us, by the clock of the instance.

use std::cell::Cell;
use std::time::Duration;

use jiff::SignedDuration;
use model::Timestamp;

/// Ends of requests, each a lease from now.
#[derive(Debug)]
pub(super) struct Lease {
    length: Duration,
    /// How far the instance's clock is ahead of ours; unknown at first.
    ahead: Cell<Option<SignedDuration>>,
}

impl Lease {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, ahead: Cell::new(None) }
    }

    /// Takes note of the time that a record was just made at.
    pub(super) fn learn(&self, made: Timestamp) {
        self.ahead.set(Some(made.as_jiff().duration_since(jiff::Timestamp::now())));
    }

    /// When a lease from now ends; `None` while the clock is unknown.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.ahead.get().and_then(|_| self.after(self.length))
    }

    /// So much later than now, as far as the clock is known.
    pub(super) fn after(&self, length: Duration) -> Option<Timestamp> {
        let now = jiff::Timestamp::now().checked_add(self.ahead.get().unwrap_or_default()).ok()?;
        now.checked_add(SignedDuration::try_from(length).ok()?).ok().map(Timestamp::from_jiff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_goes_by_the_clock_of_the_instance() {
        let lease = Lease::new(Duration::from_secs(60));
        assert_eq!(lease.end(), None);
        let there = jiff::Timestamp::now() + SignedDuration::from_hours(3);
        lease.learn(Timestamp::from_jiff(there));
        let end = lease.end().unwrap().as_jiff();
        let late = end.duration_since(there);
        assert!((60..65).contains(&late.as_secs()), "{late:?}");
    }
}
