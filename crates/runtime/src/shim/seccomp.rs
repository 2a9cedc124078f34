//! System calls that a container has no use for, or that have opened doors before, fail with
//! "operation not permitted". The list follows what Docker's default profile keeps from
//! containers without extra capabilities; `ptrace` stays, for debuggers within the container.

use crate::error::StartError;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};
use std::collections::BTreeMap;

/// Refused whatever their arguments are.
const DENIED: &[libc::c_long] = &[
    // Mounts: a container's own are made before it runs.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_lookup_dcookie,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    // Clocks and names of the host.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Key rings are not divided by namespaces.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Files by handle lead out of any root.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // Placement of other processes' memory, comparison of kernel pointers.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_kcmp,
    // This machine's own.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Installs the filters for this process and all it becomes. `no_new_privs` must be set.
pub(super) fn install() -> Result<(), StartError> {
    let failed = |error: String| StartError::step("install the system call filter", error);
    for program in programs().map_err(failed)? {
        seccompiler::apply_filter(&program).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

/// Where several filters speak of one call, the kernel takes the strictest word.
fn programs() -> Result<Vec<BpfProgram>, String> {
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|call| (*call, Vec::new())).collect();
    denied.insert(libc::SYS_clone, new_namespace_rules()?);
    denied.insert(libc::SYS_personality, foreign_personality_rules()?);
    // The flags of this call are in memory, where a filter cannot see them. "Not implemented"
    // makes C libraries use the older call.
    let unseen = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let mut programs = vec![filter(denied, libc::EPERM)?, filter(unseen, libc::ENOSYS)?];
    if cfg!(target_arch = "x86_64") {
        programs.push(without_x32());
    }
    Ok(programs)
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, String> {
    let arch =
        std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| e.to_string())?;
    let deny = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, deny, arch);
    // Calls of another architecture (32 bit on a 64-bit machine) kill the process.
    filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
}

/// `clone` with any of the flags that make a namespace.
fn new_namespace_rules() -> Result<Vec<SeccompRule>, String> {
    let flags = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    flags
        .into_iter()
        .map(|flag| {
            let flag = u64::from(flag.cast_unsigned());
            rule(SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)
        })
        .collect()
}

/// `personality` may ask (0xffffffff) and set the plain one (0), as Docker allows besides
/// 32-bit ones; turning address randomisation off is left to debuggers outside.
fn foreign_personality_rules() -> Result<Vec<SeccompRule>, String> {
    const ASK: u64 = 0xffff_ffff;
    let not = |value| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
            .map_err(|error| error.to_string())
    };
    let rule = SeccompRule::new(vec![not(0)?, not(ASK)?]);
    Ok(vec![rule.map_err(|error| error.to_string())?])
}

fn rule(length: SeccompCmpArgLen, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, String> {
    SeccompCondition::new(0, length, op, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}

/// Calls of the x32 interface share the architecture's number and would slip past the list.
fn without_x32() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    const LOAD_CALL: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, at offset 0: the call's number
    const JUMP_IF_GE: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let not_implemented = ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        sock_filter { code: LOAD_CALL, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_GE, jt: 0, jf: 1, k: X32_BIT },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: not_implemented },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ALLOW },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_and_fit_the_kernels_limit() {
        const INSTRUCTIONS_MAX: usize = 4096;
        for program in programs().unwrap() {
            assert!((1..INSTRUCTIONS_MAX).contains(&program.len()));
        }
    }
}
