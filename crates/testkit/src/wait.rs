//! Waiting for an event with a bound, in place of sleeping and hoping.

use std::time::{Duration, Instant};

/// How long anything in a test may take before it counts as never: generous, because two busy
/// cores run several Wharfs at once.
pub const BOUND: Duration = Duration::from_secs(30);

/// Looks again that often; short against everything that is waited for.
const PERIOD: Duration = Duration::from_millis(20);

/// Waits until the condition holds; panics with `what` after `bound`.
pub fn wait_for(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    wait_for_some(what, bound, || condition().then_some(()));
}

/// Waits until `look` finds something and returns it; panics with `what` after `bound`.
pub fn wait_for_some<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < bound, "waited {bound:?} in vain for {what}");
        std::thread::sleep(PERIOD);
    }
}
