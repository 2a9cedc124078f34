//! Further commands in the container: the shim's table of them, from the fork to the end.
//!
//! Whatever such a command does or has done to it, the shim never waits for it alone: a process of the container may
//! stop any other at any moment, and the shim has the container to serve.

use super::init;
use super::join::{self, FromExec, Place};
use crate::error::StartError;
use crate::spec::{ExecSpec, ExitStatus};
use crate::sys;
use crate::wire::{Connection, FromShim};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most further commands of one container at a time.
pub(super) const EXECS_MAX: usize = 64;

/// The commands there are.
#[derive(Debug, Default)]
pub(super) struct Execs(Vec<Exec>);

#[derive(Debug)]
struct Exec {
    /// The supervisor's number for it.
    id: u32,
    pid: Pid,
    /// Readable once the process has ended.
    ended: OwnedFd,
    /// To the process, until its program runs or it has told why not.
    report: Option<Connection>,
    /// Ends of its terminal or pipes, on their way to the supervisor.
    streams: Vec<OwnedFd>,
    has_started: bool,
    status: Option<ExitStatus>,
}

impl Execs {
    /// Forks. Where it returns true this is the command's process, with its way to the shim in `report`.
    pub(super) fn fork(
        &mut self,
        id: u32,
        report: &mut Option<Connection>,
    ) -> Result<bool, StartError> {
        if self.0.len() >= EXECS_MAX {
            return Err(StartError::ExecsMax { max: EXECS_MAX });
        }
        let (ours, theirs) = super::serve::channel_pair()?;
        let forked = sys::fork().map_err(|error| StartError::step("fork", error))?;
        let Some(pid) = forked else {
            drop(ours);
            *report = Some(Connection::new(theirs));
            return Ok(true);
        };
        drop(theirs);
        // The child is not reaped yet, so the number is its own.
        let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
            let _ended = sys::kill(pid, libc::SIGKILL);
            let _reaped = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        });
        let ended = ended.map_err(|errno| StartError::step("watch the command", errno))?;
        let report = Some(Connection::new(ours));
        let (streams, has_started, status) = (Vec::new(), false, None);
        self.0.push(Exec { id, pid, ended, report, streams, has_started, status });
        Ok(false)
    }

    /// Everything to be polled: for each command its process, and its report while there is one.
    pub(super) fn polled(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().flat_map(|exec| {
            [Some(exec.ended.as_fd()), exec.report.as_ref().map(AsFd::as_fd)].into_iter().flatten()
        })
    }

    /// Attends to those of whom something was heard: one word for each that [`Self::polled`] gave, in order.
    pub(super) fn attend(&mut self, mut heard: impl Iterator<Item = bool>, to: &Connection) {
        for exec in &mut self.0 {
            let has_ended = heard.next().unwrap_or(false);
            let has_spoken = exec.report.is_some() && heard.next().unwrap_or(false);
            if has_spoken {
                exec.hear(to);
            }
            if has_ended && let Ok(Some((_, status))) = exec.reap() {
                exec.status = init::exit_status(status);
                exec.end(to);
            }
        }
        self.0.retain(|exec| exec.status.is_none());
    }

    /// A child that was reaped elsewhere.
    pub(super) fn note_end(&mut self, pid: Pid, status: WaitStatus, to: Option<&Connection>) {
        let Some(at) = self.0.iter().position(|exec| exec.pid == pid) else { return };
        let mut exec = self.0.swap_remove(at);
        exec.status = init::exit_status(status);
        if let Some(to) = to {
            exec.end(to);
        }
    }

    /// Sends a signal to the process group of a command; fine if there is none any more.
    pub(super) fn signal(&self, id: u32, signal: i32) {
        if let Some(exec) = self.0.iter().find(|exec| exec.id == id) {
            // Not reaped yet, so the number is still its own.
            let _ended = sys::kill_group(exec.pid, signal);
        }
    }

    /// Kills a command and whatever is in its session.
    pub(super) fn kill(&self, id: u32) {
        let Some(exec) = self.0.iter().find(|exec| exec.id == id) else { return };
        let _ended = sys::kill_group(exec.pid, libc::SIGKILL);
        for pid in session(exec.pid) {
            let _ended = sys::kill(pid, libc::SIGKILL);
        }
        // One that has not come to a session of its own yet.
        let _ended = sys::kill(exec.pid, libc::SIGKILL);
    }

    /// Lets go of all of them: for a fork that shall know none.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Exec {
    /// Reads what the process says. At the end of it, the program runs, unless it said something else.
    fn hear(&mut self, to: &Connection) {
        let Some(report) = &mut self.report else { return };
        let is_open = report.fill().unwrap_or(false);
        self.streams.extend(report.take_descriptors());
        while let Ok(Some(said)) = report.buffered() {
            match said {
                FromExec::Ready => self.has_started = true,
                FromExec::Failed(error) => return self.fail(error, to),
            }
        }
        if is_open {
            return;
        }
        self.report = None;
        if self.has_started {
            let streams = std::mem::take(&mut self.streams);
            // A supervisor that is gone is noticed by the next event.
            let _gone = to.send_with(&FromShim::ExecStarted { id: self.id }, &streams);
        } else {
            let problem = "the command's process ended early".to_owned();
            self.fail(StartError::Helper { problem }, to);
        }
    }

    fn fail(&mut self, error: StartError, to: &Connection) {
        self.report = None;
        self.has_started = false;
        self.streams.clear();
        let _gone = to.send(&FromShim::ExecFailed { id: self.id, error });
    }

    fn reap(&self) -> rustix::io::Result<Option<(Pid, WaitStatus)>> {
        rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG)
    }

    /// Tells the end of a process that is gone, after what it had still to say: its end of the report is closed, so
    /// that reading there waits for nothing.
    fn end(&mut self, to: &Connection) {
        while self.report.is_some() {
            self.hear(to);
        }
        if let Some(status) = self.status.filter(|_| self.has_started) {
            let _gone = to.send(&FromShim::ExecExited { id: self.id, status });
        }
    }
}

/// Becomes the command, in the process that was forked for it; returns only to tell why not.
pub(super) fn become_command(spec: &ExecSpec, place: Place<'_>, report: &Connection) -> ! {
    let error = join::become_command(spec, place, report);
    // A shim that is gone needs no telling.
    let _gone = report.send(&FromExec::Failed(error));
    sys::exit_now(super::enter::EXIT_FAILED);
}

/// The processes of a session (field 6 of `/proc/PID/stat`, proc(5)).
fn session(leader: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        session_in(&stat) == Some(leader.as_raw_nonzero().get())
    })
    .filter_map(Pid::from_raw)
    .collect()
}

/// The name before it is in parentheses, and may have any character in it.
fn session_in(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_session_is_read_behind_any_name() {
        assert_eq!(session_in("12 (a) b (c) S 1 12 77 34816 12"), Some(77));
        assert_eq!(session_in(""), None);
    }

    /// Of a session made here: the test's own may have its leader in a namespace above, and is 0 then.
    #[test]
    fn a_session_is_found() {
        let mut leader = Command::new("setsid")
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (leader.stdin.take().unwrap(), leader.stdout.take().unwrap());
        stdin.write_all(b"x").unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        let pid = Pid::from_child(&leader);
        assert_eq!(session(pid), [pid]);
        drop(stdin);
        leader.wait().unwrap();
        assert_eq!(session(pid), []);
    }
}
