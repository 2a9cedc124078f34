//! Files of one container's directory; the dispatcher's `layout` module knows the same names.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

/// Between tries for the lock.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// `<data>/containers/<container uuid>`, prepared by the dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files(PathBuf);

/// Held while this supervisor lives, so that two never run the same container.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

/// Why the directory cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another supervisor has it.
    #[error("another supervisor runs this container")]
    Taken,
    /// The lock file cannot be made or locked.
    #[error("cannot lock {path:?}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Files {
    /// Of this directory; touches nothing.
    pub(crate) fn of(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// The directory itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// The [`model::SuperviseSpec`] as JSON.
    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The launch secret in hex; the dispatcher takes the container as launched while it exists.
    pub(crate) fn secret(&self) -> PathBuf {
        self.0.join("secret")
    }

    /// The [`model::LaunchSecrets`] as JSON, until they were read.
    pub(crate) fn launch_secrets(&self) -> PathBuf {
        self.0.join("launch-secrets.json")
    }

    /// The manifest of what the container made, once it was saved.
    pub(crate) fn output_manifest(&self) -> PathBuf {
        self.0.join("output.manifest")
    }

    /// The manifest of its logs, once they were saved.
    pub(crate) fn log_manifest(&self) -> PathBuf {
        self.0.join("log.manifest")
    }

    /// Directory of the log files.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The [`model::SupervisorState`] as JSON.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// `<pid> <start time in ticks>` of the supervisor.
    pub(crate) fn pid(&self) -> PathBuf {
        self.0.join("pid")
    }

    /// What the app wrote to its standard output.
    pub(crate) fn stdout_log(&self) -> PathBuf {
        self.0.join("log").join("stdout.txt")
    }

    /// What the app wrote to its standard error.
    pub(crate) fn stderr_log(&self) -> PathBuf {
        self.0.join("log").join("stderr.txt")
    }

    /// The supervisor's own words to the user.
    pub(crate) fn crunch_run_log(&self) -> PathBuf {
        self.0.join("log").join("crunch-run.txt")
    }

    /// What it used, in the lines of Arvados's `crunchstat`.
    pub(crate) fn crunchstat_log(&self) -> PathBuf {
        self.0.join("log").join("crunchstat.txt")
    }

    /// What it used, as a history.
    pub(crate) fn usage_history(&self) -> PathBuf {
        self.0.join("usage.history")
    }

    /// Takes the directory for this process; the kernel gives it up when the process ends.
    ///
    /// Blocks up to `patience`: a supervisor that was killed while it was starting a process leaves
    /// a child that holds the lock until it has executed its program.
    pub(crate) fn lock(&self, patience: Duration) -> Result<DirLock, LockError> {
        let path = self.0.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|source| LockError::Io { path: path.clone(), source })?;
        let deadline = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(DirLock { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() >= deadline => {
                    return Err(LockError::Taken);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_POLL),
                Err(errno) => return Err(LockError::Io { path, source: errno.into() }),
            }
        }
    }

    /// Writes who we are, for a controller that is not our parent.
    pub(crate) fn write_pid(&self) -> io::Result<()> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let ticks = start_ticks(&stat).ok_or_else(|| io::Error::other("/proc/self/stat"))?;
        let text = format!("{} {ticks}\n", std::process::id());
        replace(&self.pid(), text.as_bytes(), Durability::Process)
    }
}

/// What a written file must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process: the kernel has it.
    Process,
    /// The loss of power: the disk has it, and so has the directory.
    Power,
}

/// Replaces a file's content, or leaves the old one whole.
pub(crate) fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    if durability == Durability::Power {
        file.sync_all()?;
    }
    std::fs::rename(&new, path)?;
    if durability == Durability::Power
        && let Some(dir) = path.parent()
    {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Field 22 of `/proc/<pid>/stat`. The name, field 2, may hold spaces and parentheses.
fn start_ticks(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100 200";
        assert_eq!(start_ticks(stat), Some(4711));
        assert_eq!(start_ticks("7 (short) S 1"), None);
    }

    #[test]
    fn a_directory_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path());
        let held = files.lock(Duration::ZERO).unwrap();
        assert!(matches!(files.lock(Duration::ZERO), Err(LockError::Taken)));
        let release = std::thread::spawn(move || drop(held));
        files.lock(Duration::from_secs(20)).unwrap();
        release.join().unwrap();
    }

    #[test]
    fn a_replaced_file_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace(&path, b"old", Durability::Process).unwrap();
        replace(&path, b"new", Durability::Power).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
