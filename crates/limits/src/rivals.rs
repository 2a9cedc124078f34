//! Whether anybody else wants what one has much of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::tick::{Tick, nanoseconds};

/// Somebody else came in between, if it changes twice within this who asks; once is somebody who comes after another.
const BETWEEN: Duration = Duration::from_millis(500);

/// How long that is remembered: long enough for those who ask once a second or two.
const MEMORY: Duration = Duration::from_secs(2);

/// Who asked for a thing that all share, as far as it takes to tell one from several.
///
/// Two threads that ask at the very same time may be told what was true a moment ago.
#[derive(Debug, Default)]
pub struct Rivals {
    /// Whoever asked last; 0 is nobody.
    last: AtomicU64,
    /// When that was another one than before.
    changed_at: AtomicU64,
    /// Until when there are several.
    until: AtomicU64,
}

impl Rivals {
    /// Somebody asks, under a number that is not 0. Whether others did in between, lately.
    pub fn see(&self, who: u64, now: Tick) -> bool {
        // One load where only one asks, which is when it must be cheap.
        if self.last.load(Ordering::Relaxed) != who {
            self.last.store(who, Ordering::Relaxed);
            let before = self.changed_at.swap(now.0, Ordering::Relaxed);
            if before != 0 && now.0.saturating_sub(before) < nanoseconds(BETWEEN) {
                self.until.store(now.0.saturating_add(nanoseconds(MEMORY)), Ordering::Relaxed);
            }
        }
        now.0 < self.until.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Tick {
        Tick::after(Duration::from_millis(1000 + ms))
    }

    #[test]
    fn one_who_asks_alone_has_no_rivals_until_another_comes_in_between_and_some_time_after() {
        let rivals = Rivals::default();
        assert!(!rivals.see(1, at(0)) && !rivals.see(1, at(600)));
        assert!(!rivals.see(2, at(601)), "it may be the only one from now on");
        assert!(rivals.see(1, at(602)) && rivals.see(1, at(2601)));
        assert!(!rivals.see(1, at(2602)));
    }

    #[test]
    fn those_who_come_one_after_another_are_no_rivals() {
        let rivals = Rivals::default();
        for (n, who) in [1, 2, 1, 2].into_iter().enumerate() {
            let begun = 700 * n as u64;
            assert!((0..7).all(|tenth| !rivals.see(who, at(begun + 100 * tenth))), "{n}");
        }
    }
}
