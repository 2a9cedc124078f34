//! What this machine is called, and what it has: memory and processors, as the kernel says.

/// Memory in bytes.
pub(crate) fn ram_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the width of the kernel's word differs between machines"
    )]
    let total = u64::from(info.totalram);
    total.saturating_mul(u64::from(info.mem_unit))
}

/// Processors that this process may use.
pub(crate) fn vcpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Its name.
pub(crate) fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
