//! When does a published port accept its first connection? Probed through the runtime's dialer.

use std::time::Duration;

use model::ContainerPort;
use tokio::sync::mpsc;

use crate::logs::journal::{Journal, now};
use crate::machine::Event;

/// Static programs listen within a few milliseconds of their start; the first to hear of it wins
/// the start-up time.
const PROBE_MIN: Duration = Duration::from_millis(2);
/// A probe costs about 0.1 ms of CPU; five a second go unnoticed even with a hundred services.
const PROBE_MAX: Duration = Duration::from_millis(200);
/// A port that is silent for this long gets a line in the log, once.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// Probes until `accepts` says yes, then reports the port. Nothing is watched after that: whether a
/// port that was ready still answers is told by each connection to it.
///
/// Ends when dropped; the driver aborts it with the container.
pub(crate) async fn watch<A>(
    port: ContainerPort,
    accepts: impl Fn() -> A,
    events: mpsc::Sender<Event>,
    journal: Journal,
) where
    A: Future<Output = bool>,
{
    let started = tokio::time::Instant::now();
    let mut pause = PROBE_MIN;
    let mut has_told = false;
    while !accepts().await {
        if !has_told && started.elapsed() >= SILENT_AFTER {
            has_told = true;
            journal.say(&format!(
                "published port {} does not accept connections yet; does the command listen on it?",
                port.get()
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PROBE_MAX);
    }
    journal.say(&format!("port {} accepts connections", port.get()));
    // Fails only if the driver is gone, and then nobody is interested.
    let _gone = events.send(Event::PortReady { port, at: now() }).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_port_is_reported_once_at_its_first_success_and_silence_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crunch-run.txt");
        let journal = Journal::open(&path).unwrap();
        let (sender, mut events) = mpsc::channel(4);
        let began = tokio::time::Instant::now();
        let n_probes = Cell::new(0);
        let port = ContainerPort::new(8888).unwrap();
        let accepts = || {
            n_probes.set(n_probes.get() + 1);
            std::future::ready(began.elapsed() > Duration::from_secs(100))
        };
        watch(port, accepts, sender, journal).await;
        assert!(matches!(events.recv().await, Some(Event::PortReady { .. })));
        assert!(events.recv().await.is_none());
        assert!((400..600).contains(&n_probes.get()), "{}", n_probes.get());
        let told = std::fs::read_to_string(path).unwrap();
        assert_eq!(told.matches("does not accept connections yet").count(), 1);
    }
}
