//! Process 1 of a container: makes its root, starts the command, reaps what is orphaned, passes
//! signals on, and ends with the command. It stays the owner of the namespaces, so the command
//! can neither read its memory nor signal it.

use super::user::Identity;
use super::{app, rootfs, user};
use crate::cgroup::Cgroups;
use crate::error::StartError;
use crate::spec::ExitStatus;
use crate::sys;
use crate::wire::{Connection, ShimSpec};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// From process 1 to the shim. The other direction is single bytes: numbers of signals.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromInit {
    /// The command runs, as this user. Its user namespace comes with it, where that is not ours.
    Started(Identity),
    StartFailed(StartError),
    Exited(ExitStatus),
}

/// Runs the container; the result is the exit code of process 1. The kernel kills every other
/// process of the container when it ends.
pub(super) fn run(
    spec: &ShimSpec,
    channel: &mut Connection,
    cgroups: &Cgroups,
    rootfs: &Path,
) -> i32 {
    match start(spec, cgroups, rootfs) {
        Ok(Running { app, signals, identity, namespace }) => {
            let namespace: Vec<OwnedFd> = namespace.into_iter().collect();
            let started = channel.send_with(&FromInit::Started(identity), &namespace);
            drop(namespace);
            let limited = drop_privileges();
            if started.is_err() || limited.is_err() {
                return super::enter::EXIT_FAILED;
            }
            let status = watch(app, &signals, channel);
            // If the shim is gone nobody wants to know.
            let _gone = channel.send(&FromInit::Exited(status));
            match status {
                ExitStatus::Code(code) => code,
                ExitStatus::Signal(signal) => 128 + signal,
            }
        }
        Err(error) => {
            let _gone = channel.send(&FromInit::StartFailed(error));
            super::enter::EXIT_FAILED
        }
    }
}

/// The command, and what is known of it.
struct Running {
    app: Pid,
    signals: OwnedFd,
    identity: Identity,
    /// Its user namespace, where it has one of its own.
    namespace: Option<OwnedFd>,
}

fn start(spec: &ShimSpec, cgroups: &Cgroups, scratch: &Path) -> Result<Running, StartError> {
    let step = |step: &'static str| move |errno: rustix::io::Errno| StartError::step(step, errno);
    // If the shim dies, so does the container. If it died just now, its end of the channel is
    // closed, which `watch` notices.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("follow the helper's death"))?;
    // Forking keeps this, but it costs nothing to be sure.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(step("hide process 1"))?;
    // The name is for people who look at a list of processes.
    let _unnamed = rustix::thread::set_name(c"wharf-init");
    cgroups.join().map_err(|error| StartError::step("enter the control groups", error))?;
    // After joining, so that the container sees its own group as the root.
    sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWCGROUP)
        .map_err(|error| StartError::step("make a mount namespace", error))?;
    let signals = sys::signals_as_descriptor()
        .map_err(|error| StartError::step("take over signals", error))?;
    // While the host's files are in view.
    let stdin = app::open_input(&spec.stdin)?;
    rootfs::enter(spec, scratch)?;
    let identity = user::resolve(&spec.user)?;
    let app = app::spawn(spec, &identity, stdin)?;
    let namespace = app::has_own_namespace(&identity).then(|| user_namespace_of(app)).flatten();
    Ok(Running { app, signals, identity, namespace })
}

/// None of a command that has ended already.
fn user_namespace_of(app: Pid) -> Option<OwnedFd> {
    let path = format!("/proc/{}/ns/user", app.as_raw_nonzero());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Process 1 needs nothing more than to signal processes of any user.
fn drop_privileges() -> rustix::io::Result<()> {
    let keep = CapabilitySet::KILL & rustix::thread::capabilities(None)?.permitted;
    let sets =
        CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)
}

/// Waits for the end of the command.
fn watch(app: Pid, signals: &OwnedFd, channel: &Connection) -> ExitStatus {
    loop {
        let mut polled = [PollFd::new(signals, PollFlags::IN), PollFd::new(channel, PollFlags::IN)];
        // Signals are blocked, so nothing interrupts; were it to fail, the reads below would
        // find nothing and it is tried again.
        let _retried = rustix::event::poll(&mut polled, None);
        let shim_spoke = !polled[1].revents().is_empty();
        while let Ok(Some(signal)) = sys::read_signal(signals) {
            if signal != libc::SIGCHLD {
                forward(app, signal);
            }
        }
        if let Some(status) = reap(app) {
            return status;
        }
        if shim_spoke && !forward_from_shim(app, channel) {
            return ExitStatus::Signal(libc::SIGKILL);
        }
    }
}

/// False when the shim is gone.
fn forward_from_shim(app: Pid, channel: &Connection) -> bool {
    let mut numbers = [0; 64];
    match rustix::io::read(channel.as_fd(), &mut numbers) {
        Ok(0) => false,
        Ok(n) => {
            numbers[..n].iter().for_each(|number| forward(app, i32::from(*number)));
            true
        }
        Err(errno) => errno == rustix::io::Errno::INTR,
    }
}

fn forward(app: Pid, signal: i32) {
    // The command may have ended; it is reaped next.
    let _ended = sys::kill(app, signal);
}

/// Reaps every child that has ended; tells when the command is among them.
fn reap(app: Pid) -> Option<ExitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == app {
            ended = exit_status(status);
        }
    }
    ended
}

pub(super) fn exit_status(status: WaitStatus) -> Option<ExitStatus> {
    let code = status.exit_status().map(ExitStatus::Code);
    code.or(status.terminating_signal().map(ExitStatus::Signal))
}
