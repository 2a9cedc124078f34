//! The process between a supervisor and its container.
//!
//! It runs twice. First as our own executable, as found on disk: it takes a new user namespace
//! (unless it is root) and a new mount namespace and executes itself again from a read-only view
//! of the executable, so that nothing a container does can write to the file on disk through
//! `/proc/*/exe` (CVE-2019-5736). Then as the shim proper: it makes the container and serves the
//! supervisor's socket, which is its standard input, until the socket closes.

mod app;
mod enter;
mod exec;
mod init;
mod join;
mod mounts;
mod program;
mod rootfs;
mod seccomp;
mod serve;
mod user;

pub(crate) use enter::can_mount;
use std::ffi::OsStr;

/// Name under which a supervisor starts us.
pub(crate) const MARKER: &str = "wharf-shim";
/// Name under which we start ourselves again from the read-only view.
const SEALED_MARKER: &str = "wharf-container";

/// Runs the shim and never returns, if this process was started as one; otherwise does nothing.
/// Call it first thing in `main`, before any thread exists: namespaces can be left and processes
/// forked only by a process with a single thread.
pub fn run_if_reexec() {
    let Some(name) = std::env::args_os().next() else { return };
    let run: fn() -> i32 = if name == OsStr::new(MARKER) {
        enter::run
    } else if name == OsStr::new(SEALED_MARKER) {
        serve::run
    } else {
        return;
    };
    crate::sys::exit_now(run());
}
