//! What a container used.

use crate::file::Figures;

/// What all processes of a container used in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How long it was watched, in milliseconds: a slot may be covered in part.
    pub watched_ms: u64,
    /// Processor time, in microseconds.
    pub cpu_us: u64,
    /// Most memory that was seen, in bytes.
    pub memory_bytes_max: u64,
    /// Most processes that were seen.
    pub n_processes_max: u64,
    /// Whether the kernel killed for want of memory (1), or did not (0).
    pub oom_kills: u64,
}

impl Usage {
    /// Processors used at once, on average; none where it was not watched long enough to tell.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn cores(&self) -> Option<f64> {
        (self.watched_ms > 0).then(|| self.cpu_us as f64 / (self.watched_ms as f64 * 1000.0))
    }
}

impl Figures for Usage {
    const TAG: [u8; 8] = *b"whfusag1";
    const N_FIELDS: usize = 5;

    fn put(&self, fields: &mut [u64]) {
        fields.copy_from_slice(&[
            self.watched_ms,
            self.cpu_us,
            self.memory_bytes_max,
            self.n_processes_max,
            self.oom_kills,
        ]);
    }

    fn take(fields: &[u64]) -> Self {
        let at = |index: usize| fields.get(index).copied().unwrap_or_default();
        Self {
            watched_ms: at(0),
            cpu_us: at(1),
            memory_bytes_max: at(2),
            n_processes_max: at(3),
            oom_kills: at(4),
        }
    }

    fn add(&mut self, later: &Self) {
        self.watched_ms = self.watched_ms.saturating_add(later.watched_ms);
        self.cpu_us = self.cpu_us.saturating_add(later.cpu_us);
        self.memory_bytes_max = self.memory_bytes_max.max(later.memory_bytes_max);
        self.n_processes_max = self.n_processes_max.max(later.n_processes_max);
        self.oom_kills = self.oom_kills.saturating_add(later.oom_kills);
    }
}
