//! When does a published port accept its first connection? Probed through the runtime's dialer. And does something
//! listen on it from then on? Seen without a connection.

use std::io;
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

/// Between looks at a port that is ready. A look takes some 20 microseconds and wakes nobody.
const LOOK_PERIOD: Duration = Duration::from_secs(3);
/// Looks in a row that find nobody before it is told: a server that restarts by itself is back by then. Told within ten
/// seconds.
const LOOKS_SILENT: u32 = 2;
/// Between looks for its return.
const RETURN_PERIOD: Duration = Duration::from_millis(500);

/// Probes until `accepts` says yes, then reports the port.
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

/// Looks from then on whether something listens, and reports when nothing does any more, and when something does again.
///
/// Ends when dropped. A look that fails says nothing: the container is about to end.
pub(crate) async fn watch_on(
    port: ContainerPort,
    listens: impl Fn() -> io::Result<bool>,
    events: mpsc::Sender<Event>,
    journal: Journal,
) {
    let (mut is_silent, mut n_silent) = (false, 0);
    loop {
        tokio::time::sleep(if is_silent { RETURN_PERIOD } else { LOOK_PERIOD }).await;
        let Ok(listens) = listens() else { continue };
        n_silent = if listens { 0 } else { n_silent + 1 };
        let event = if is_silent && listens {
            journal.say(&format!("something listens on port {} again", port.get()));
            Event::PortAnswers { port }
        } else if !is_silent && n_silent >= LOOKS_SILENT {
            journal.say(&format!("nothing listens on port {} any more", port.get()));
            Event::PortSilent { port, at: now() }
        } else {
            continue;
        };
        is_silent = !is_silent;
        if events.send(event).await.is_err() {
            return;
        }
    }
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

    #[tokio::test(start_paused = true)]
    async fn a_port_that_falls_silent_is_told_within_ten_seconds_and_its_return_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("crunch-run.txt")).unwrap();
        let (sender, mut events) = mpsc::channel(4);
        let port = ContainerPort::new(8888).unwrap();
        let began = tokio::time::Instant::now();
        let second = move || began.elapsed().as_secs();
        // A restart of a second is no silence; that from 20 on is; from 60 on nothing can be seen.
        let listens = move || match second() {
            20..40 => Ok(false),
            60.. => Err(io::ErrorKind::NotFound.into()),
            n => Ok(n != 9),
        };
        let watching = tokio::spawn(watch_on(port, listens, sender, journal));
        assert!(matches!(events.recv().await, Some(Event::PortSilent { .. })));
        assert!((20..30).contains(&second()), "{}", second());
        assert_eq!(events.recv().await, Some(Event::PortAnswers { port }));
        assert!((40..42).contains(&second()), "{}", second());
        let more = tokio::time::timeout(Duration::from_secs(100), events.recv()).await;
        assert!(more.is_err());
        watching.abort();
    }
}
