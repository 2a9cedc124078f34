//! Settings of the dispatcher, resolved; each limit has the name it has in the config file.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{BlockStore, LifePolicy};

use crate::admission::{Capacity, Disk};

/// All that the dispatcher is told.
#[derive(Clone, Debug)]
pub struct DispatchConfig {
    /// The data directory.
    pub data_dir: PathBuf,
    /// What the records' `locked_by_uuid` says of this dispatcher.
    pub name: String,
    /// What this machine is called, where administrators keep containers from it.
    pub node: String,
    /// Containers at a time.
    pub containers_max: usize,
    /// Memory of this machine in bytes.
    pub ram_bytes: u64,
    /// The sum of all memory limits may be this many times the memory: services seldom use theirs.
    pub ram_overcommit: f64,
    /// CPUs of this machine.
    pub vcpus: u32,
    /// The sum of all CPU wishes may be this many times the CPUs: services mostly wait.
    pub cpu_overcommit: f64,
    /// The part of the memory that programs which only submit others may have together.
    pub supervisor_fraction: f64,
    /// `tmp` mounts of a container may ask for this many times what is free on the disk.
    pub scratch_overcommit: f64,
    /// From SIGTERM to SIGKILL when a container is stopped.
    pub stop_grace: Duration,
    /// Bytes kept of each log stream of a container.
    pub log_bytes_max: u64,
    /// Look at everything this often even if nothing happened.
    pub period: Duration,
    /// Where blocks are, and what is made of them; without it containers see no collections and leave none.
    pub blocks: Option<BlockStore>,
    /// Public ports for services, on sites without a wildcard name.
    pub external_ports: Option<RangeInclusive<u16>>,
    /// How long before a container's end it is told.
    pub warn_before: Duration,
    /// Between notes of one container's use, and between looks at whether it works by itself.
    pub use_interval: Duration,
}

impl DispatchConfig {
    /// Defaults for a machine with this memory and these CPUs.
    pub fn for_machine(data_dir: PathBuf, ram_bytes: u64, vcpus: u32) -> Self {
        Self {
            data_dir,
            name: "wharf-local-dispatch".to_owned(),
            node: "localhost".to_owned(),
            // Each costs three processes and some 15 MiB; more is for a cluster.
            containers_max: 200,
            ram_bytes,
            ram_overcommit: 2.0,
            vcpus,
            cpu_overcommit: 16.0,
            supervisor_fraction: 0.5,
            scratch_overcommit: 1.0,
            // What Docker gives; enough for JupyterLab to save.
            stop_grace: Duration::from_secs(10),
            // A chatty service fills this in days; a disk holds many of them.
            log_bytes_max: 64 << 20,
            period: Duration::from_secs(5),
            blocks: None,
            external_ports: None,
            warn_before: Duration::from_secs(600),
            use_interval: Duration::from_secs(30),
        }
    }

    /// What ends of containers go by.
    pub fn life_policy(&self) -> LifePolicy {
        LifePolicy::new(self.warn_before, self.use_interval)
    }

    /// The limits that admission works with, the disk as it is now.
    pub fn capacity(&self) -> Capacity {
        let disk = disk_of(&self.data_dir);
        let ram_bytes = scale(self.ram_bytes, self.ram_overcommit);
        Capacity {
            runner_ram_bytes: scale(ram_bytes, self.supervisor_fraction),
            disk: Disk {
                size_bytes: scale(disk.size_bytes, self.scratch_overcommit),
                free_bytes: scale(disk.free_bytes, self.scratch_overcommit),
            },
            containers_max: self.containers_max,
            ram_bytes,
            vcpus: u32::try_from(scale(u64::from(self.vcpus), self.cpu_overcommit))
                .unwrap_or(u32::MAX),
        }
    }
}

impl Disk {
    /// The disk that a directory is on.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn at(path: &Path) -> std::io::Result<Self> {
        let about = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        Ok(Self { size_bytes: bytes(about.f_blocks), free_bytes: bytes(about.f_bavail) })
    }
}

/// The disk that a directory is on; one that does not tell is taken for endless.
fn disk_of(path: &Path) -> Disk {
    Disk::at(path).unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "cannot see how much of the disk is free");
        Disk { size_bytes: u64::MAX, free_bytes: u64::MAX }
    })
}

/// `amount * factor`, rounded down to thousandths of the factor; nonsense factors count as 1.
fn scale(amount: u64, factor: f64) -> u64 {
    let thousandths = if factor.is_finite() && factor > 0.0 { factor * 1000.0 } else { 1000.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
    let thousandths = thousandths.clamp(1.0, 1e9) as u64;
    let scaled = u128::from(amount) * u128::from(thousandths) / 1000;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
