//! What a container uses: from its control groups where there are some that count it, else added up
//! over its processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// More processes than a container may have; a tree that is larger changed while it was read.
const PROCESSES_MAX: usize = 1 << 16;

/// What a container uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its processes since its start, those that have ended included. Never
    /// less than at an earlier reading, but where processes that nobody waits for are not counted
    /// by a control group: what those used is missing then.
    pub cpu: Duration,
    /// Memory in bytes that the container could not do without: page cache that the kernel may
    /// drop is left out. Without a control group pages that processes share count for each.
    pub memory_bytes: u64,
    /// Processes, the container's own process 1 (ours) not counted.
    pub n_processes: u32,
}

/// Reads what one container uses.
#[derive(Debug, Clone)]
pub struct Meter {
    /// Process 1 of the container, as the host numbers it.
    init: u32,
    /// Directories of its control groups; those of the controllers whose limits it has.
    groups: Vec<PathBuf>,
}

impl Meter {
    pub(crate) fn new(init: u32, groups: Vec<PathBuf>) -> Self {
        Self { init, groups }
    }

    /// Blocks for some tens of microseconds for each process of the container.
    ///
    /// # Errors
    /// When the container has ended.
    pub fn read(&self) -> io::Result<Usage> {
        let processes = Process::tree(self.init)?;
        let by_groups =
            |read: fn(&Path) -> Option<u64>| self.groups.iter().find_map(|dir| read(dir));
        let cpu = by_groups(cpu_us).map(Duration::from_micros);
        let memory = by_groups(memory_bytes);
        Ok(Usage {
            cpu: cpu.unwrap_or_else(|| processes.iter().map(Process::cpu).sum()),
            memory_bytes: memory.unwrap_or_else(|| processes.iter().map(Process::resident).sum()),
            n_processes: u32::try_from(processes.len().saturating_sub(1)).unwrap_or(u32::MAX),
        })
    }
}

/// Microseconds, by a group of version 2 (`cpu.stat`), or of version 1 with `cpuacct` in it.
fn cpu_us(dir: &Path) -> Option<u64> {
    let stat = || fs::read_to_string(dir.join("cpu.stat")).ok();
    let version_1 =
        || number(&dir.join("cpuacct.usage")).map(|nanoseconds: u64| nanoseconds / 1000);
    stat().and_then(|text| field(&text, "usage_usec")).or_else(version_1)
}

/// By a group of version 2 or 1, without file pages that nobody used lately.
fn memory_bytes(dir: &Path) -> Option<u64> {
    let all = |file| number::<u64>(&dir.join(file));
    let (used, idle) = match all("memory.current") {
        Some(used) => (used, "inactive_file"),
        None => (all("memory.usage_in_bytes")?, "total_inactive_file"),
    };
    let stat = fs::read_to_string(dir.join("memory.stat")).ok()?;
    Some(used.saturating_sub(field(&stat, idle)?))
}

fn number<T: FromStr>(file: &Path) -> Option<T> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number behind `name` in a file of `name number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// One process, as `/proc/PID/stat` has it (proc(5)).
#[derive(Debug, PartialEq, Eq)]
struct Process {
    /// Its own, and that of its children that ended and were waited for.
    ticks: u64,
    pages: u64,
}

impl Process {
    /// `root` and all below it. What ends meanwhile is not in it.
    fn tree(root: u32) -> io::Result<Vec<Self>> {
        let mut found = vec![Self::of(root)?];
        let mut parents = children_of(root);
        while let Some(pid) = parents.pop() {
            if found.len() >= PROCESSES_MAX {
                break;
            }
            if let Ok(process) = Self::of(pid) {
                found.push(process);
                parents.extend(children_of(pid));
            }
        }
        Ok(found)
    }

    fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&stat).ok_or_else(|| io::Error::other("unexpected form of /proc/PID/stat"))
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name, field 2, may hold anything, so count from its closing parenthesis.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = (14..=17).map(field).sum::<Option<u64>>()?;
        Some(Self { ticks, pages: field(24)? })
    }

    fn cpu(&self) -> Duration {
        let hertz = rustix::param::clock_ticks_per_second();
        Duration::from_micros(self.ticks.saturating_mul(1_000_000) / hertz)
    }

    fn resident(&self) -> u64 {
        self.pages.saturating_mul(rustix::param::page_size() as u64)
    }
}

/// None where the process is gone.
fn children_of(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_name_holds() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4 9 9 0 0 10 20 300 4000 20 0 1 0 55 1000 250 1 1";
        assert_eq!(Process::parse(stat), Some(Process { ticks: 4330, pages: 250 }));
        assert_eq!(Process::parse("7 (a) S 1 7"), None);
        assert_eq!(Process::parse(""), None);
    }

    #[test]
    fn groups_of_both_versions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        assert_eq!((cpu_us(dir.path()), memory_bytes(dir.path())), (None, None));
        write("cpuacct.usage", "5000000\n");
        write("memory.usage_in_bytes", "1000\n");
        write("memory.stat", "inactive_file 1\ntotal_inactive_file 300\n");
        assert_eq!((cpu_us(dir.path()), memory_bytes(dir.path())), (Some(5000), Some(700)));
        write("cpu.stat", "usage_usec 77\nuser_usec 70\n");
        write("memory.current", "2000\n");
        write("memory.stat", "inactive_file 500\n");
        assert_eq!((cpu_us(dir.path()), memory_bytes(dir.path())), (Some(77), Some(1500)));
        // Version 1 without `cpuacct` says how often it throttled, and no time.
        write("cpu.stat", "nr_periods 0\n");
        assert_eq!(cpu_us(dir.path()), Some(5000));
    }

    #[test]
    fn a_process_and_its_children_are_a_tree() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let tree = Process::tree(std::process::id()).unwrap();
        assert!(tree.len() >= 2 && tree[0].pages > 0, "{tree:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Process::tree(u32::MAX).is_err());
    }
}
