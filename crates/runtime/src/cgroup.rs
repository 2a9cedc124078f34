//! Control groups: limits on memory, processes and processor time, version 1 or 2 or both mixed,
//! wherever this user may make groups. Without them containers run unlimited, and it is said.

mod hierarchy;

use crate::spec::Limits;
use hierarchy::{Controller, Place, Version};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Period over which processor time is measured out; the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;
/// Processes of ours in the group besides the container's own: its process 1.
const OWN_PROCESSES: u64 = 1;
/// How often and how long apart a group whose last process just died is removed.
const REMOVE_TRIES: u32 = 100;
const REMOVE_PAUSE: Duration = Duration::from_millis(5);

/// The groups of one container: one in version 2, one per controller in version 1.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    /// Directories on the host.
    dirs: Vec<PathBuf>,
    /// File whose `oom_kill` line counts kills for want of memory.
    oom_events: Option<PathBuf>,
}

impl Cgroups {
    /// Makes groups for what is limited. What cannot be limited is added to `notes`, in words.
    pub(crate) fn create(id: &str, limits: &Limits, notes: &mut Vec<String>) -> Self {
        let mut groups = Self::default();
        let wanted = [
            (Controller::Memory, limits.memory_bytes.is_some()),
            (Controller::Pids, limits.pids_max.is_some()),
            (Controller::Cpu, limits.cpus.is_some()),
        ];
        let places = hierarchy::places(true);
        for (controller, is_wanted) in wanted {
            let made = match places.get(&controller) {
                _ if !is_wanted => continue,
                Some(Ok(place)) => groups.add(controller, place, id, limits),
                Some(Err(why)) => Err(io::Error::other(why.clone())),
                None => Err(io::Error::other("this machine has no such control group")),
            };
            if let Err(error) = made {
                notes.push(format!("the {controller} limit is not enforced: {error}"));
            }
        }
        groups
    }

    fn add(
        &mut self,
        controller: Controller,
        place: &Place,
        id: &str,
        limits: &Limits,
    ) -> io::Result<()> {
        let dir = place.dir.join(format!("wharf-{id}"));
        if !self.dirs.contains(&dir) {
            match fs::create_dir(&dir) {
                // Left by a container of the same id that was not swept; its limits are replaced.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.dirs.push(dir.clone()),
            }
        }
        for (file, value, is_needed) in settings(controller, place.version, limits) {
            match fs::write(dir.join(file), value) {
                Err(error) if is_needed => return Err(error),
                _ => {}
            }
        }
        if controller == Controller::Memory {
            let events = match place.version {
                Version::One => "memory.oom_control",
                Version::Two => "memory.events",
            };
            self.oom_events = Some(dir.join(events));
        }
        Ok(())
    }

    /// Moves the calling process, which has one thread, and with it all that it forks, into the groups.
    pub(crate) fn join(&self) -> io::Result<()> {
        self.dirs.iter().try_for_each(|dir| fs::write(dir.join(entrance(dir)), "0"))
    }

    /// Directories on the host, for whoever has to clean up after us.
    pub(crate) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Whether the kernel killed a process of the groups for want of memory.
    pub(crate) fn was_oom_killed(&self) -> bool {
        let Some(path) = &self.oom_events else { return false };
        let Ok(text) = fs::read_to_string(path) else { return false };
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|n| n.trim().parse::<u64>().ok()).is_some_and(|n| n > 0)
    }

    /// Removes the groups. Their processes must have ended.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.dirs.iter().try_for_each(|dir| remove(dir))
    }
}

/// The file that takes a process into a group. A thread that moves itself, which only version 1 allows, need not wait
/// until no process of the machine forks (Linux 6.0): that takes 2 ms for each group.
fn entrance(dir: &Path) -> &'static str {
    const OF_ONE_THREAD: &str = "tasks";
    if dir.join(OF_ONE_THREAD).exists() { OF_ONE_THREAD } else { "cgroup.procs" }
}

/// File, value and whether the limit stands or falls with it.
fn settings(
    controller: Controller,
    version: Version,
    limits: &Limits,
) -> Vec<(&'static str, String, bool)> {
    let memory = limits.memory_bytes.unwrap_or(u64::MAX).to_string();
    let pids = limits.pids_max.unwrap_or(u64::MAX).saturating_add(OWN_PROCESSES).to_string();
    let quota_us = cpu_quota_us(limits.cpus.unwrap_or(0.0));
    match (controller, version) {
        // Swap would let a container use more than it was given; where swap is not accounted
        // for, the file is missing.
        (Controller::Memory, Version::One) => vec![
            ("memory.limit_in_bytes", memory.clone(), true),
            ("memory.memsw.limit_in_bytes", memory, false),
        ],
        (Controller::Memory, Version::Two) => {
            vec![("memory.max", memory, true), ("memory.swap.max", "0".to_owned(), false)]
        }
        (Controller::Pids, _) => vec![("pids.max", pids, true)],
        (Controller::Cpu, Version::One) => vec![
            ("cpu.cfs_period_us", CPU_PERIOD_US.to_string(), true),
            ("cpu.cfs_quota_us", quota_us.to_string(), true),
        ],
        (Controller::Cpu, Version::Two) => {
            vec![("cpu.max", format!("{quota_us} {CPU_PERIOD_US}"), true)]
        }
    }
}

/// The kernel takes no less than a millisecond.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to a range where neither matters"
)]
fn cpu_quota_us(cpus: f64) -> u64 {
    (cpus * CPU_PERIOD_US as f64).clamp(1000.0, 1e12) as u64
}

/// Removes a group, killing what is in it; fine if it is not there. The kernel lets go of a
/// group a moment after its last process.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    for _ in 0..REMOVE_TRIES {
        match fs::remove_dir(dir) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => return done,
        }
        kill_all(dir);
        std::thread::sleep(REMOVE_PAUSE);
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

fn kill_all(dir: &Path) {
    let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.parse().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // It may have ended by itself meanwhile.
            let _ended = crate::sys::kill(pid, libc::SIGKILL);
        }
    }
}

/// Which limits can be enforced here, and why the others cannot.
pub(crate) fn probe() -> Vec<(&'static str, Result<(), String>)> {
    let places = hierarchy::places(false);
    [Controller::Memory, Controller::Pids, Controller::Cpu]
        .into_iter()
        .map(|controller| {
            let found = match places.get(&controller) {
                Some(place) => place.as_ref().map(|_| ()).map_err(String::clone),
                None => Err("this machine has no such control group".to_owned()),
            };
            (controller.name(), found)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_the_kernels_settings() {
        let limits = Limits { memory_bytes: Some(64 << 20), pids_max: Some(10), cpus: Some(1.5) };
        let show = |controller, version| {
            let lines = settings(controller, version, &limits);
            lines.into_iter().map(|(file, value, _)| format!("{file}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(show(Controller::Memory, Version::Two)[0], "memory.max=67108864");
        assert_eq!(show(Controller::Memory, Version::One)[0], "memory.limit_in_bytes=67108864");
        assert_eq!(show(Controller::Pids, Version::Two), ["pids.max=11"]);
        assert_eq!(show(Controller::Cpu, Version::Two), ["cpu.max=150000 100000"]);
        assert_eq!(show(Controller::Cpu, Version::One)[1], "cpu.cfs_quota_us=150000");
        assert_eq!(cpu_quota_us(0.000_1), 1000);
    }
}
