//! A process that may not be our child, held by a descriptor: its number cannot be reused under us.

#![expect(unsafe_code, reason = "tokio registers a process descriptor only through an unsafe call")]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Clones are the same process.
#[derive(Clone, Debug)]
pub(super) struct ProcessRef(Arc<OwnedFd>);

impl ProcessRef {
    /// Of a child that was not reaped yet.
    pub(super) fn of_child(pid: i32) -> Option<Self> {
        let pid = Pid::from_raw(pid)?;
        pidfd_open(pid, PidfdFlags::NONBLOCK).ok().map(|fd| Self(Arc::new(fd)))
    }

    /// Of the process that wrote this file (`<pid> <start time in ticks>`), if it still runs.
    pub(super) fn from_pid_file(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let (pid, ticks) = text.trim().split_once(' ')?;
        let (pid, ticks) = (pid.parse::<i32>().ok()?, ticks.parse::<u64>().ok()?);
        // First the descriptor, then the look: so the look is at the process that we hold.
        let process = Self::of_child(pid)?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        (running_since(&stat)? == ticks).then_some(process)
    }

    /// Waits for its end; of a stranger too.
    pub(super) async fn ended(&self) {
        // SAFETY: the descriptor is owned by the Arc, which the registration holds, and nothing
        // takes it out or closes it before the registration is dropped. There is no safe way to
        // await readiness of a descriptor that is no socket or pipe.
        let registered =
            unsafe { AsyncFd::register_with_interest(Arc::clone(&self.0), Interest::READABLE) };
        let Ok(fd) = registered else {
            // No descriptors left to wait with: the periodic look finds out.
            return std::future::pending().await;
        };
        // An error would be of the wait, not of the process; the periodic look finds out.
        if fd.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Nothing happens if it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(&self.0, signal) {
            tracing::debug!(%error, ?signal, "a supervisor could not be signalled");
        }
    }
}

/// Notes a child that was not reaped yet, as it does itself; not one that has ended already.
pub(super) fn write_pid_file(path: &Path, pid: i32) -> io::Result<()> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let Some(ticks) = running_since(&stat) else { return Ok(()) };
    // Not the name under which the supervisor writes its own.
    let new = path.with_extension("launched");
    std::fs::write(&new, format!("{pid} {ticks}\n"))?;
    std::fs::rename(&new, path)
}

/// Field 22 of `/proc/<pid>/stat`, unless the process is a zombie. The name, field 2, may hold
/// spaces and parentheses.
fn running_since(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap()
    }

    fn pid_file_of(child: &Child, dir: &Path) -> std::path::PathBuf {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let path = dir.join("pid");
        std::fs::write(&path, format!("{} {}\n", child.id(), running_since(&stat).unwrap()))
            .unwrap();
        path
    }

    #[tokio::test]
    async fn a_process_is_found_by_its_file_and_its_end_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = sleeper();
        let path = pid_file_of(&child, dir.path());
        let process = ProcessRef::from_pid_file(&path).unwrap();
        process.signal(Signal::TERM);
        tokio::time::timeout(std::time::Duration::from_secs(20), process.ended()).await.unwrap();
        // A zombie is as dead as one that was reaped.
        assert!(ProcessRef::from_pid_file(&path).is_none());
        child.wait().unwrap();
        assert!(ProcessRef::from_pid_file(&path).is_none());
    }

    #[test]
    fn a_number_that_was_used_again_is_another_process() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let dir = tempfile::tempdir().unwrap();
        let mut child = sleeper();
        let path = pid_file_of(&child, dir.path());
        std::fs::write(&path, format!("{} 1\n", child.id())).unwrap();
        assert!(ProcessRef::from_pid_file(&path).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
