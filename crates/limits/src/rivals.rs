//! Whether anybody else wants what one has much of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::tick::{Tick, nanoseconds};

/// How long somebody who asked is remembered: long enough for those who ask once a second or two.
const MEMORY: Duration = Duration::from_secs(2);

/// Who asked for a thing that all share, as far as it takes to tell one from several.
///
/// Two threads that ask at the very same time may be told what was true a moment ago.
#[derive(Debug, Default)]
pub struct Rivals {
    /// Whoever asked last; 0 is nobody.
    last: AtomicU64,
    /// Until when there are several.
    until: AtomicU64,
}

impl Rivals {
    /// Somebody asks, under a number that is not 0. Whether others did lately.
    pub fn see(&self, who: u64, now: Tick) -> bool {
        // One load where only one asks, which is when it must be cheap.
        if self.last.load(Ordering::Relaxed) != who {
            let before = self.last.swap(who, Ordering::Relaxed);
            if before != 0 {
                self.until.store(now.0.saturating_add(nanoseconds(MEMORY)), Ordering::Relaxed);
            }
        }
        now.0 < self.until.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_asks_alone_has_no_rivals_until_another_asks_and_some_time_after() {
        let rivals = Rivals::default();
        let at = |ms| Tick::after(Duration::from_millis(ms));
        assert!(!rivals.see(1, at(0)) && !rivals.see(1, at(1)));
        assert!(rivals.see(2, at(2)), "the other one is still near");
        assert!(rivals.see(1, at(3)) && rivals.see(1, at(2002)));
        assert!(!rivals.see(1, at(2003)));
    }
}
