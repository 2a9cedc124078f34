//! Does a container work by itself? Its processor time, looked at from time to time.

use std::time::Duration;

use runtime::Meter;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::logs::journal::now;
use crate::machine::Event;

/// A notebook server with an open tab that polls takes some percent of a core; whoever computes takes a whole one.
const BUSY_PERCENT: u32 = 5;

/// Looks every `period`, and reports each time that more than a small share of a core was used since the last look.
/// Ends with the container.
pub(crate) async fn watch(meter: Meter, period: Duration, events: mpsc::Sender<Event>) {
    let mut last: Option<(Instant, Duration)> = None;
    loop {
        tokio::time::sleep(period).await;
        let reading = meter.clone();
        // A container with thousands of processes takes a while to add up.
        let read = tokio::task::spawn_blocking(move || reading.read()).await;
        let Ok(Ok(usage)) = read else { continue };
        let at = Instant::now();
        let before = last.replace((at, usage.cpu));
        let Some((since, cpu)) = before else { continue };
        if is_busy(usage.cpu.saturating_sub(cpu), at.duration_since(since))
            && events.send(Event::Busy { at: now() }).await.is_err()
        {
            return;
        }
    }
}

fn is_busy(cpu: Duration, elapsed: Duration) -> bool {
    cpu * 100 > elapsed * BUSY_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_a_small_share_of_a_core_is_work() {
        let seconds = Duration::from_secs(30);
        assert!(!is_busy(Duration::ZERO, seconds));
        assert!(!is_busy(Duration::from_millis(1500), seconds));
        assert!(is_busy(Duration::from_millis(1501), seconds));
        assert!(is_busy(Duration::from_secs(60), seconds));
    }
}
