//! What a Wharf may have left behind: processes, mounts, cgroups and container folders.
//!
//! A container's processes are known by their mounts: their root is an overlay whose upper
//! directory lies in the data folder. Namespaces live as long as such processes or a mount of
//! them, so both are looked for and with them the namespaces.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait_for;

/// How long the kernel may take to tear namespaces down after the last process is gone.
const SETTLING: Duration = Duration::from_secs(10);

/// Process ids of everything that belongs to a data folder: by command line, working directory or
/// mounts.
#[must_use]
pub fn processes_of(data: &Path) -> Vec<u32> {
    let needle = data.to_string_lossy().into_owned();
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").expect("/proc is there");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own && belongs(*pid, &needle))
        .collect()
}

/// Files of processes that end while we look are no longer there: they do not belong.
fn belongs(pid: u32, needle: &str) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let holds = |file: &str| {
        let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(needle)
    };
    let is_ours = || {
        // A mount of the host's own namespace shows up in every process; it is no sign.
        let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/mnt")).ok();
        namespace(&pid.to_string()) != namespace("self") && holds("mountinfo")
    };
    holds("cmdline") || is_ours()
}

/// Kills what is left of a Wharf, for tests that failed.
pub fn kill_all(data: &Path) {
    for _again in 0..10 {
        let left = processes_of(data);
        if left.is_empty() {
            break;
        }
        for pid in left {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for mount in mounts_of(data).iter().rev() {
        let _gone = rustix::mount::unmount(mount.as_str(), rustix::mount::UnmountFlags::DETACH);
    }
}

/// Mount points below a folder, in our own mount namespace.
#[must_use]
pub fn mounts_of(data: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    // The data folder itself may be a file system that the test mounted.
    let below = format!("{}/", data.display());
    points.filter(|point| point.starts_with(&below)).map(str::to_owned).collect()
}

/// Control groups that bear the name of a container of this data folder.
#[must_use]
pub fn cgroups_of(containers: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if containers.iter().any(|container| name.contains(container.as_str())) {
                found.push(entry.path());
            }
            // Ours are made near the top or below the group we run in; deeper is someone else's.
            if depth < 6 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

/// Names of the container folders.
#[must_use]
pub fn containers_of(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("containers")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// One sentence for each leftover of a Wharf that is down or of its containers that are over.
#[must_use]
pub fn of(data: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for pid in processes_of(data) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        left.push(format!("process {pid}: {line}"));
    }
    left.extend(mounts_of(data).iter().map(|point| format!("mount {point}")));
    let containers = containers_of(data);
    left.extend(cgroups_of(&containers).iter().map(|group| format!("cgroup {}", group.display())));
    for container in containers {
        let root = data.join("containers").join(container).join("rootfs");
        if root.exists() {
            left.push(format!("folder {}", root.display()));
        }
    }
    left
}

/// Panics with the list of leftovers, if there are any after a moment.
#[track_caller]
pub fn assert_none(data: &Path) {
    let mut left = Vec::new();
    let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("leftovers to go", SETTLING, || {
            left = of(data);
            left.is_empty()
        });
    }));
    if looked.is_err() {
        kill_all(data);
        panic!("left behind:\n  {}", left.join("\n  "));
    }
}
