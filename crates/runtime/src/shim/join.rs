//! A further command, from a fork of the shim to its program: into the container first, then through the same steps as
//! the container's own command (`app::confine`).
//!
//! The fork is outside of the mounts and control groups, and inside of the network and of the process numbers, which
//! the shim's children are born into. Until its program runs nobody in the container can look into it: it is not
//! dumpable, as the shim is not.

use super::user::Identity;
use super::{app, program};
use crate::cgroup::Cgroups;
use crate::error::StartError;
use crate::spec::{ExecSpec, TerminalSize};
use crate::wire::Connection;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::pipe::PipeFlags;
use rustix::pty::OpenptFlags;
use rustix::thread::ThreadNameSpaceType;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};

/// Where a shell is looked for if nothing names one.
const SHELLS: [&str; 2] = ["bash", "sh"];
/// The container's own terminals. Nothing in the container can take the place of a mount.
const TERMINALS: &str = "/dev/pts/ptmx";
/// `DEVPTS_SUPER_MAGIC` of the kernel's `magic.h`.
const TERMINALS_MAGIC: u64 = 0x1cd1;

/// From the forked process. The end of the connection without `Failed` is the program's start.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromExec {
    /// The supervisor's ends come with it.
    Ready,
    Failed(StartError),
}

/// What the container's own command runs with.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: String,
    pub(super) identity: Identity,
    /// Its user namespace, where it has one of its own.
    pub(super) namespace: Option<OwnedFd>,
}

/// The container to be joined.
pub(super) struct Place<'c> {
    /// Its process 1.
    pub(super) init: OwnedFd,
    pub(super) cgroups: &'c Cgroups,
    pub(super) own: &'c mut Own,
}

/// Returns only to tell why not.
pub(super) fn become_command(spec: &ExecSpec, place: Place<'_>, report: &Connection) -> StartError {
    match prepare(spec, place, report) {
        Ok(env) => exec(&spec.argv, &env.0, env.1.as_deref()),
        Err(error) => error,
    }
}

/// The environment, and the user's own shell.
type Prepared = (Vec<(String, String)>, Option<String>);

fn prepare(spec: &ExecSpec, place: Place<'_>, report: &Connection) -> Result<Prepared, StartError> {
    let step = |step: &'static str| move |errno: rustix::io::Errno| StartError::step(step, errno);
    let Place { init, cgroups, own } = place;
    rustix::process::setsid().map_err(step("start a session"))?;
    // While the host's files are in view.
    cgroups.join().map_err(|error| StartError::step("enter the control groups", error))?;
    let inside = ThreadNameSpaceType::MOUNT | ThreadNameSpaceType::CONTROL_GROUP;
    rustix::thread::move_into_thread_name_spaces(init.as_fd(), inside)
        .map_err(step("enter the container"))?;
    drop(init);
    let streams = match spec.terminal {
        Some(size) => terminal(size, &own.identity).map_err(step("make a terminal"))?,
        None => pipes().map_err(step("make pipes"))?,
    };
    report
        .send_with(&FromExec::Ready, &streams)
        .map_err(|error| StartError::step("hand over the terminal", error))?;
    drop(streams);
    // From here on no directory of ours is open that a path by way of `/proc/self/fd` could lead to.
    app::confine(&own.identity, own.namespace.as_ref(), &own.cwd)?;
    let mut env = own.env.clone();
    for (name, value) in &spec.env {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    Ok((env, own.identity.shell.clone()))
}

/// Makes a terminal of the container's own this session's. The result is its other end.
fn terminal(size: TerminalSize, identity: &Identity) -> rustix::io::Result<Vec<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let ours = rustix::fs::openat2(CWD, TERMINALS, flags, Mode::empty(), resolve)?;
    if u64::try_from(rustix::fs::fstatfs(&ours)?.f_type).ok() != Some(TERMINALS_MAGIC) {
        return Err(rustix::io::Errno::NOTTY);
    }
    rustix::pty::unlockpt(&ours)?;
    let peer_flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, peer_flags)?;
    let size = rustix::termios::Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&ours, size)?;
    // Without it only the opening again by its name fails. In a user namespace the owner fits already.
    let _kept = rustix::fs::fchown(&theirs, Some(rustix::fs::Uid::from_raw(identity.uid)), None);
    rustix::process::ioctl_tiocsctty(&theirs)?;
    use_as_stdio(&theirs, &theirs, &theirs)?;
    Ok(vec![ours])
}

/// Three pipes as input, output and error. The results are their other ends, in this order.
fn pipes() -> rustix::io::Result<Vec<OwnedFd>> {
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
    let ((input, to_input), (from_output, output), (from_error, error)) =
        (pipe()?, pipe()?, pipe()?);
    use_as_stdio(&input, &output, &error)?;
    Ok(vec![to_input, from_output, from_error])
}

fn use_as_stdio(input: &OwnedFd, output: &OwnedFd, error: &OwnedFd) -> rustix::io::Result<()> {
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(error)
}

/// The command, or the first shell that there is.
fn exec(argv: &[String], env: &[(String, String)], own_shell: Option<&str>) -> StartError {
    if !argv.is_empty() {
        return program::exec(argv, env);
    }
    let named = env.iter().find(|(name, _)| name == "SHELL").map(|(_, shell)| shell.as_str());
    for shell in named.into_iter().chain(own_shell).chain(SHELLS).filter(|it| !it.is_empty()) {
        // Where it cannot be run the next may be.
        let _next = program::exec(&[shell.to_owned()], env);
    }
    StartError::NoShell
}
