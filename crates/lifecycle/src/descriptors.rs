//! Thousands of sockets need thousands of descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one, which is as far as a process may go. The usual soft limit of
/// 1,024 is meant for programs that use `select`.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_limit() -> std::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
