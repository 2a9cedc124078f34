//! `crunchstat.txt`: lines as Arvados's `crunchstat` writes them, read by `crunchstat-summary` and arvados-cwl-runner.
//!
//! `<time> <category> <number> <name> ... -- interval <number> seconds <number> <name> ...`. A meter does not tell
//! the time in the kernel from that of the program, so all of it is `user`; what it does not know at all (cache, swap,
//! page faults) is left out rather than told as zero.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::Timestamp;
use runtime::Usage;

/// Between two lines of the first hour, as `crunchstat` itself has it. A little less, as measurements jitter.
const OFTEN: Duration = Duration::from_millis(9_500);
/// And afterwards: a service runs for weeks.
const SELDOM: Duration = Duration::from_secs(59);
const OFTEN_FOR: Duration = Duration::from_secs(3600);
/// At a line a minute, half a year.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Writes the file.
#[derive(Debug)]
pub(super) struct Crunchstat {
    path: PathBuf,
    vcpus: u32,
    /// None before the first line.
    file: Option<File>,
    n_bytes: u64,
    begun: Instant,
    last: Option<(Instant, Duration)>,
}

impl Crunchstat {
    pub(super) fn new(path: PathBuf, vcpus: u32) -> Self {
        Self { path, vcpus, file: None, n_bytes: 0, begun: Instant::now(), last: None }
    }

    /// Writes lines if it is time for some. A disk that is full loses them.
    pub(super) fn take(&mut self, now: Timestamp, at: Instant, used: Usage) {
        let pause = if at.duration_since(self.begun) < OFTEN_FOR { OFTEN } else { SELDOM };
        let since = self.last.map(|(before, cpu)| (at.duration_since(before), cpu));
        if since.is_some_and(|(passed, _)| passed < pause) || self.n_bytes > FILE_BYTES_MAX {
            return;
        }
        let text = lines(&now.to_string(), self.vcpus, used, since);
        self.last = Some((at, used.cpu));
        if self.file.is_none() {
            self.file = File::options().create(true).append(true).open(&self.path).ok();
        }
        if let Some(file) = &mut self.file
            && file.write_all(text.as_bytes()).is_ok()
        {
            self.n_bytes += text.len() as u64;
        }
    }
}

/// `since`: how long the interval was, and the processor time at its beginning.
fn lines(now: &str, vcpus: u32, used: Usage, since: Option<(Duration, Duration)>) -> String {
    let mut text = format!("{now} cpu {:.4} user 0.0000 sys {vcpus} cpus", used.cpu.as_secs_f64());
    if let Some((passed, cpu_before)) = since {
        let (passed, cpu) = (passed.as_secs_f64(), used.cpu.saturating_sub(cpu_before));
        let cpu = cpu.as_secs_f64();
        let _infallible = write!(text, " -- interval {passed:.4} seconds {cpu:.4} user 0.0000 sys");
    }
    let _infallible = write!(text, "\n{now} mem {} rss\n", used.memory_bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(cpu_ms: u64) -> Usage {
        Usage { cpu: Duration::from_millis(cpu_ms), memory_bytes: 4096, n_processes: 1 }
    }

    #[test]
    fn lines_are_those_that_the_readers_expect() {
        let now = "2026-11-28T12:00:00.123456789Z";
        assert_eq!(
            lines(now, 4, used(1500), None),
            format!("{now} cpu 1.5000 user 0.0000 sys 4 cpus\n{now} mem 4096 rss\n")
        );
        let since = Some((Duration::from_secs(10), Duration::from_millis(500)));
        assert_eq!(
            lines(now, 4, used(1500), since).lines().next().unwrap(),
            format!(
                "{now} cpu 1.5000 user 0.0000 sys 4 cpus \
                 -- interval 10.0000 seconds 1.0000 user 0.0000 sys"
            )
        );
    }

    #[test]
    fn lines_come_often_at_first_and_seldom_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crunchstat.txt");
        let mut crunchstat = Crunchstat::new(path.clone(), 1);
        let (begun, now) = (crunchstat.begun, Timestamp::from_jiff(jiff::Timestamp::now()));
        for second in (0..7200).step_by(5) {
            crunchstat.take(now, begun + Duration::from_secs(second), used(second));
        }
        let text = std::fs::read_to_string(path).unwrap();
        // Every 10 s for an hour, then every minute, two lines each.
        assert_eq!(text.lines().count(), 2 * (360 + 60));
    }
}
