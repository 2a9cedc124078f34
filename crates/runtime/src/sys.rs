//! The system calls that no safe crate offers, each wrapped to be safe to call as documented.
//! Nothing here decides anything.

#![expect(unsafe_code, reason = "fork, exec, unshare and signals have no safe interface")]

use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `unshare(2)`, for namespaces only.
pub(crate) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    debug_assert!(!namespaces.contains(UnshareFlags::FILES));
    // SAFETY: unsafe only for FILES, which no caller passes: no descriptor table is unshared.
    Ok(unsafe { rustix::thread::unshare_unsafe(namespaces) }?)
}

/// Enters an open user namespace. Only for processes with a single thread.
pub(crate) fn enter_user_namespace(namespace: impl AsFd) -> io::Result<()> {
    let kind = Some(rustix::thread::LinkNameSpaceType::User);
    Ok(rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?)
}

/// `fork(2)`: the child's id in the parent, `None` in the child. Only for processes with a single
/// thread; shim and init are such.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread (`run_if_reexec` is called before any other exists), so
    // no lock can be held by a thread that the child lacks.
    let pid = check(unsafe { libc::fork() })?;
    Ok(Pid::from_raw(pid))
}

/// Ends this process at once, without the exit handlers of the program it was forked from.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: has no preconditions.
    unsafe { libc::_exit(code) }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

/// `execve(2)`; returns only to tell why not.
pub(crate) fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: the pointers are to strings that end in zero bytes and outlive the call, the lists
    // end in null pointers.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// `fexecve(3)` with an empty environment; returns only to tell why not.
pub(crate) fn exec_descriptor(program: impl AsFd, argv: &[CString]) -> io::Error {
    let (argv, env) = (pointers(argv), pointers(&[]));
    // SAFETY: as for `exec`; the descriptor is open for the call.
    unsafe { libc::fexecve(program.as_fd().as_raw_fd(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Marks every descriptor but the three standard ones to be closed by the next exec.
pub(crate) fn close_on_exec_all() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
    // SAFETY: only a flag of each descriptor changes; none is closed under its owner.
    check(unsafe { libc::close_range(3, libc::c_uint::MAX, flags) }).map(drop)
}

/// Blocks every signal and makes them readable from a descriptor.
pub(crate) fn signals_as_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: an all-zero set is a valid value to be filled; the pointers are to locals; the
    // descriptor is new and owned by nobody else.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        check(libc::sigfillset(&raw mut all))?;
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()))?;
        let fd = check(libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Takes one signal's number from such a descriptor; `None` if there is none.
pub(crate) fn read_signal(signals: impl AsFd) -> io::Result<Option<i32>> {
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(signals, &mut info) {
        // The structure begins with the number, `ssi_signo: u32`.
        Ok(_) => Ok(info.first_chunk::<4>().map(|number| i32::from_ne_bytes(*number))),
        Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Gives every signal its default effect and blocks none: what a program expects to start with.
pub(crate) fn reset_signals() {
    // SAFETY: an all-zero set is a valid value to be filled, the pointer is to a local; setting a
    // default disposition installs no handler. Signals whose disposition is fixed (9, 19 and the
    // C library's own 32, 33) are refused, which is right.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Sends a signal by its number, real-time ones included.
pub(crate) fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: has no preconditions; `Pid` is never 0 or negative, so it names one process.
    check(unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) }).map(drop)
}

/// Sends a signal to every process of a group.
pub(crate) fn kill_group(leader: Pid, signal: i32) -> io::Result<()> {
    if leader.is_init() {
        // Its negation means every process there is.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: has no preconditions; `Pid` is never 0 or negative, and not 1, so the negation names one group.
    check(unsafe { libc::kill(-leader.as_raw_nonzero().get(), signal) }).map(drop)
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    let up = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    // SAFETY: all-zero is a valid value; the request reads a name that ends in a zero byte and
    // flags, both set here, and the structure outlives the call.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l'.cast_signed();
        request.ifr_name[1] = b'o'.cast_signed();
        request.ifr_ifru.ifru_flags = up;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request))?;
    }
    Ok(())
}

/// Adds flags (`MOUNT_ATTR_*`) to a mount, and with `recursive` to those beneath it.
pub(crate) fn mount_set(mount: impl AsFd, flags: u64, recursive: bool) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let at_flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the empty path ends in a zero byte, the structure is whole, its true size is
    // passed, and both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            at_flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_calls_become_errors() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(exec(c"/nonexistent", &[], &[]).kind(), io::ErrorKind::NotFound);
        assert!(mount_set(&null, libc::MOUNT_ATTR_RDONLY, false).is_err());
        let nobody = Pid::from_raw(i32::MAX).unwrap();
        assert_eq!(kill(nobody, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
