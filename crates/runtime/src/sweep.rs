//! Cleaning up after a shim that could not do it itself, because it was killed.

use crate::cgroup;
use crate::error::SweepError;
use crate::tree;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Timespec;
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the record in a container's `rootfs/`.
const RECORD: &str = "helper.json";
/// How long a killed process may take to go.
const KILL_TIMEOUT_S: i64 = 10;

/// Who runs a container, so that they can be found again: written by the shim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Process numbers mean something within one boot only.
    boot_id: String,
    processes: Vec<Process>,
    /// Directories of the container's control groups.
    cgroups: Vec<PathBuf>,
}

/// A process that cannot be mistaken for a later one of the same number.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    pid: i32,
    /// Ticks since boot, field 22 of `/proc/<pid>/stat`.
    start_ticks: u64,
}

impl Process {
    fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_ticks: start_ticks(pid)? })
    }

    /// Kills it and waits until it is gone; fine if it is gone already.
    fn kill(&self) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        // Looked at after the descriptor was opened: now the number cannot change hands.
        if start_ticks(self.pid).ok() != Some(self.start_ticks) {
            return Ok(());
        }
        match rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            sent => sent?,
        }
        let timeout = Timespec { tv_sec: KILL_TIMEOUT_S, tv_nsec: 0 };
        match rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

impl Record {
    /// Of a shim, which calls it, and of its container's process 1 once there is one.
    pub(crate) fn of_this_process(init: Option<i32>, cgroups: &[PathBuf]) -> io::Result<Self> {
        let shim = rustix::process::getpid().as_raw_nonzero().get();
        let processes = [Some(shim), init].into_iter().flatten().map(Process::of);
        Ok(Self {
            boot_id: boot_id()?,
            processes: processes.collect::<io::Result<_>>()?,
            cgroups: cgroups.to_vec(),
        })
    }

    pub(crate) fn write(&self, rootfs: &Path) -> io::Result<()> {
        let (path, tmp) = (rootfs.join(RECORD), rootfs.join("helper.json.new"));
        fs::write(&tmp, serde_json::to_vec(self).map_err(io::Error::other)?)?;
        fs::rename(tmp, path)
    }
}

/// Removes whatever a killed supervisor and shim left of the container in `dir`: processes,
/// control groups, the root directory. Kills the container if it still runs. Idempotent; fine if
/// there is nothing. Blocks for milliseconds, or up to seconds when there is something to kill.
///
/// # Errors
/// When something could not be removed; the rest then stays too, for a later try.
pub fn sweep(dir: &Path, id: &str) -> Result<(), SweepError> {
    let failed = |step| move |source| SweepError { id: id.to_owned(), step, source };
    let rootfs = dir.join("rootfs");
    let record: Option<Record> = match fs::read(rootfs.join(RECORD)) {
        // A record that cannot be read was never whole: nothing had been started yet.
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(_) => None,
    };
    if let Some(record) = record {
        if boot_id().is_ok_and(|current| current == record.boot_id) {
            // The shim first: it would clean up at the same time. With it goes process 1.
            for process in &record.processes {
                process.kill().map_err(failed("kill the processes"))?;
            }
        }
        for cgroup in &record.cgroups {
            cgroup::remove(cgroup).map_err(failed("remove the control groups"))?;
        }
    }
    tree::remove(&rootfs).map_err(failed("remove the root directory"))
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn start_ticks(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, field 2, may hold anything, so count from its closing parenthesis.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name
        .split_whitespace()
        .nth(19)
        .and_then(|ticks| ticks.parse().ok())
        .ok_or_else(|| io::Error::other("unexpected form of /proc/PID/stat"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;
    use std::process::Command;

    #[test]
    fn sweeping_nothing_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        sweep(dir.path(), "c").unwrap();
        sweep(&dir.path().join("absent"), "c").unwrap();
    }

    #[test]
    fn a_recorded_process_is_killed_but_a_later_one_of_its_number_is_not() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = Process::of(pid).unwrap();
        Process { pid, start_ticks: process.start_ticks + 1 }.kill().unwrap();
        assert!(sys::kill(Pid::from_raw(pid).unwrap(), 0).is_ok());
        process.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        process.kill().unwrap();
    }
}
