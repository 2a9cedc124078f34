//! What the container uses, measured when each slot of a history ends, and kept in two forms beside its state: as a
//! history for plots (`usage.history`), and as lines for Arvados's tools (`log/crunchstat.txt`).
//!
//! Neither holds up the container: what cannot be measured or written is left out and shows as a gap.

mod crunchstat;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use history::{History, PERIOD_S, Usage};
use runtime::Meter;

use crate::files::Files;
use crate::logs::journal::now;
use crunchstat::Crunchstat;

/// Measures until dropped, or until the container has ended.
///
/// In threads of their own, which end at once: a container of thousands of processes takes a while to add up.
pub(crate) async fn watch(meter: Meter, files: Files, vcpus: u32) {
    let begun = tokio::task::spawn_blocking(move || Sampler::begin(meter, &files, vcpus));
    let mut sampler = match begun.await {
        Ok(Ok(sampler)) => sampler,
        Ok(Err(error)) => return tracing::warn!(%error, "what the container uses is not measured"),
        Err(error) => return tracing::error!(%error, "what the container uses is not measured"),
    };
    loop {
        tokio::time::sleep(until_slot_ends()).await;
        let measured = tokio::task::spawn_blocking(move || {
            sampler.measure();
            sampler
        });
        match measured.await {
            Ok(it) => sampler = it,
            Err(error) => return tracing::error!(%error, "what the container uses is not measured"),
        }
    }
}

/// Marks the moment at which the kernel ended the container for want of memory. Blocking.
pub(crate) fn mark_oom_kill(files: &Files) {
    let killed = Usage { oom_kills: 1, ..Usage::default() };
    let marked =
        History::open(&files.usage_history()).and_then(|it| it.add(now_ms() / 1000, &killed));
    if let Err(error) = marked {
        tracing::warn!(%error, "the end for want of memory is not marked");
    }
}

/// By the clock of the wall, so that the slots of all containers end together, and those of a successor where ours do.
fn until_slot_ends() -> Duration {
    let period_ms = PERIOD_S * 1000;
    Duration::from_millis(period_ms - now_ms() % period_ms)
}

fn now_ms() -> u64 {
    u64::try_from(now().as_jiff().as_millisecond()).unwrap_or_default()
}

struct Sampler {
    meter: Meter,
    /// None where the disk would not have it.
    history: Option<History<Usage>>,
    crunchstat: Crunchstat,
    read_at: Instant,
    cpu: Duration,
}

impl Sampler {
    fn begin(meter: Meter, files: &Files, vcpus: u32) -> io::Result<Self> {
        let first = meter.read()?;
        let history = open_history(&files.usage_history());
        let mut crunchstat = Crunchstat::new(files.crunchstat_log(), vcpus);
        crunchstat.take(now(), Instant::now(), first);
        Ok(Self { meter, history, crunchstat, read_at: Instant::now(), cpu: first.cpu })
    }

    /// Fails for a container that is just ending: then the time since the last measurement is a gap.
    fn measure(&mut self) {
        let read = match self.meter.read() {
            Ok(read) => read,
            Err(error) => return tracing::debug!(%error, "the container cannot be measured"),
        };
        let at = Instant::now();
        let used = Usage {
            watched_ms: millis(at.duration_since(self.read_at)),
            cpu_us: micros(read.cpu.saturating_sub(self.cpu)),
            memory_bytes_max: read.memory_bytes,
            n_processes_max: read.n_processes.into(),
            oom_kills: 0,
        };
        (self.read_at, self.cpu) = (at, read.cpu);
        // A millisecond ago the slot that is told of had not ended.
        let slot_s = now_ms().saturating_sub(PERIOD_S * 500) / 1000;
        if let Some(Err(error)) = self.history.as_ref().map(|history| history.add(slot_s, &used)) {
            tracing::debug!(%error, "a measurement was not written");
        }
        self.crunchstat.take(now(), at, read);
    }
}

fn open_history(path: &Path) -> Option<History<Usage>> {
    let opened = History::open(path);
    if let Err(error) = &opened {
        tracing::warn!(%error, ?path, "no history of what the container uses");
    }
    opened.ok()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
