//! First life of the shim: namespaces that make mounting possible, then ourselves again from a
//! read-only view of the executable.

use super::{MARKER, SEALED_MARKER};
use crate::error::StartError;
use crate::sys;
use crate::wire::{self, FromShim};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mount::{MountPropagationFlags, OpenTreeFlags};
use rustix::thread::{CapabilitySet, UnshareFlags};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Exit code of a shim that failed; the supervisor has the words from the socket.
pub(super) const EXIT_FAILED: i32 = 125;

pub(super) fn run() -> i32 {
    if !stdin_is_socket() {
        // Someone typed our hidden name. There is nobody to talk to on a socket.
        let _closed = writeln!(io::stderr(), "{MARKER} is started by wharf itself, not by hand");
        return EXIT_FAILED;
    }
    let Err(error) = enter();
    tell(&FromShim::StartFailed(error));
    EXIT_FAILED
}

fn stdin_is_socket() -> bool {
    rustix::fs::fstat(io::stdin())
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket())
}

/// Best effort: a supervisor that is gone needs no telling.
fn tell(message: &FromShim) {
    if let Ok(frame) = wire::encode(message) {
        let _gone = rustix::io::write(io::stdin(), &frame);
    }
}

fn enter() -> Result<std::convert::Infallible, StartError> {
    // Whatever descriptors our supervisor's own starter left open end here.
    sys::close_on_exec_all().map_err(|error| StartError::step("close descriptors", error))?;
    // A session of its own: signals for the supervisor's terminal or group pass it by.
    rustix::process::setsid().map_err(|errno| StartError::step("start a session", errno))?;
    if can_mount() {
        sys::unshare(UnshareFlags::NEWNS)
            .map_err(|error| StartError::step("make a mount namespace", error))?;
    } else {
        enter_user_namespace()?;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)
        .map_err(|errno| StartError::step("make the mount namespace private", errno))?;
    let program = read_only_view().or_else(|_| sealed_copy());
    let program = program.map_err(|error| StartError::step("protect our own executable", error))?;
    let argv = std::env::args_os().skip(1).map(OsStringExt::into_vec);
    let argv: Result<Vec<_>, _> =
        [SEALED_MARKER.as_bytes().to_vec()].into_iter().chain(argv).map(CString::new).collect();
    let argv = argv.map_err(|error| StartError::step("pass arguments on", error))?;
    Err(StartError::step("execute ourselves", sys::exec_descriptor(&program, &argv)))
}

/// Whether this process may mount without a user namespace of its own.
pub(crate) fn can_mount() -> bool {
    rustix::process::geteuid().is_root()
        && rustix::thread::capabilities(None)
            .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Whether this process is root over every user id, as opposed to the one id of a user namespace
/// that it made.
pub(super) fn is_whole_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first = map.split_whitespace().nth(2).and_then(|length| length.parse::<u32>().ok());
    first.is_some_and(|length| length > 1)
}

/// Makes this user the root of a new user namespace, with exactly one user and group id in it.
/// Writing the maps is allowed to anyone for their own id (user_namespaces(7)).
fn enter_user_namespace() -> Result<(), StartError> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    sys::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS).map_err(|error| {
        let hint = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EUSERS) => " (user.max_user_namespaces is too small)",
            Some(libc::EPERM | libc::EACCES) => " (user namespaces are switched off for users)",
            _ => "",
        };
        StartError::UserNamespacesOff { problem: format!("{error}{hint}") }
    })?;
    write_maps(0, uid.as_raw(), 0, gid.as_raw())
        .map_err(|error| StartError::UserNamespacesOff { problem: error.to_string() })
}

/// Maps one user and one group id of this user namespace to one of the parent's each.
pub(super) fn write_maps(uid: u32, uid_outside: u32, gid: u32, gid_outside: u32) -> io::Result<()> {
    // Without this the kernel refuses the map of groups to ordinary users. In a namespace within
    // such a namespace it is so already.
    let _already_denied = fs::write("/proc/self/setgroups", "deny");
    fs::write("/proc/self/uid_map", format!("{uid} {uid_outside} 1\n"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid_outside} 1\n"))
}

/// Our executable through a mount of its own, read-only and reachable by nobody else.
fn read_only_view() -> io::Result<OwnedFd> {
    // The link itself leads to the mount namespace that we have left; its text leads here.
    let path = fs::read_link("/proc/self/exe")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let view = rustix::mount::open_tree(CWD, path.as_os_str().as_bytes(), flags)?;
    let is_ours = {
        let (found, running) = (rustix::fs::fstat(&view)?, fs::metadata("/proc/self/exe")?);
        (found.st_dev, found.st_ino) == (running.dev(), running.ino())
    };
    if !is_ours {
        // The file was replaced since we were started.
        return Err(io::ErrorKind::NotFound.into());
    }
    sys::mount_set(&view, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID, false)?;
    Ok(view)
}

/// A copy of our executable in memory that can never change.
fn sealed_copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let exec = MemfdFlags::from_bits_retain(libc::MFD_EXEC);
    let copy = rustix::fs::memfd_create(MARKER, flags | exec)
        // Kernels before 6.3 do not know the flag and need it not.
        .or_else(|_| rustix::fs::memfd_create(MARKER, flags))?;
    let mut from = File::open(Path::new("/proc/self/exe"))?;
    io::copy(&mut from, &mut File::from(copy.try_clone()?))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    // Executed through a descriptor for reading: one for writing makes the kernel say "busy".
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy.as_fd()));
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
