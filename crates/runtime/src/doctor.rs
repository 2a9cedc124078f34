//! Whether this machine can run containers, checked one thing at a time, with what to do.

use crate::cgroup;
use crate::shim::can_mount;
use rustix::fs::Access;
use std::fs;
use std::path::Path;

/// Oldest kernel that has every call we use: `mount_setattr` came with 5.12.
const KERNEL_MIN: (u32, u32) = (5, 12);
/// Least free space, in bytes, below which images are likely to fail.
const DISK_FREE_BYTES_MIN: u64 = 2 << 30;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What, in two or three words.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty if nothing needs doing.
    pub remedy: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Fine.
    Ok,
    /// Containers run, with something missing.
    Warning,
    /// Containers do not run.
    Failed,
}

/// Checks everything that containers need. Starts nothing and changes nothing; `data_dir` is
/// where images and containers live, and need not exist yet.
pub fn doctor(data_dir: &Path) -> Vec<Check> {
    let mut checks = vec![kernel(), user_namespaces(), overlay(), seccomp(), devices(), ids()];
    checks.extend(control_groups());
    checks.push(disk(data_dir));
    checks
}

fn check(name: &'static str, result: Result<String, (Verdict, String, &str)>) -> Check {
    match result {
        Ok(detail) => Check { name, verdict: Verdict::Ok, detail, remedy: String::new() },
        Err((verdict, detail, remedy)) => {
            Check { name, verdict, detail, remedy: remedy.to_owned() }
        }
    }
}

fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let result = if version >= KERNEL_MIN {
        Ok(format!("Linux {release}"))
    } else {
        let remedy = "use Linux 5.12 or newer (Debian 12, Ubuntu 22.04, RHEL 9 have it)";
        Err((Verdict::Failed, format!("Linux {release} is too old"), remedy))
    };
    check("kernel", result)
}

fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn user_namespaces() -> Check {
    let name = "user namespaces";
    if can_mount() {
        return check(name, Ok("not needed: running as root".to_owned()));
    }
    let switched_off = number_in("/proc/sys/kernel/unprivileged_userns_clone") == Some(0);
    let restricted = number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    let max = number_in("/proc/sys/user/max_user_namespaces");
    let failed = |detail: &str, remedy| Err((Verdict::Failed, detail.to_owned(), remedy));
    let result = if !Path::new("/proc/self/ns/user").exists() {
        failed("the kernel was built without them", "run as root, or use another kernel")
    } else if max == Some(0) {
        failed(
            "user.max_user_namespaces is 0",
            "as root: sysctl user.max_user_namespaces=10000; or run as root",
        )
    } else if switched_off {
        failed(
            "kernel.unprivileged_userns_clone is 0",
            "as root: sysctl kernel.unprivileged_userns_clone=1; or run as root",
        )
    } else if restricted {
        let detail = "AppArmor restricts them to programs with a profile of their own";
        let remedy = "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or install \
            an AppArmor profile with `userns,` for wharf; or run as root";
        Err((Verdict::Warning, detail.to_owned(), remedy))
    } else {
        Ok(max.map_or_else(|| "allowed".to_owned(), |max| format!("allowed, up to {max}")))
    };
    check(name, result)
}

fn overlay() -> Check {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let result = if known.lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay") {
        Ok("the kernel has it".to_owned())
    } else {
        let remedy =
            "as root: modprobe overlay, and list `overlay` in /etc/modules-load.d/wharf.conf";
        Err((Verdict::Warning, "not loaded (it may load by itself)".to_owned(), remedy))
    };
    check("overlayfs", result)
}

fn seccomp() -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let result = if status.lines().any(|line| line.starts_with("Seccomp:")) {
        Ok("system call filters work".to_owned())
    } else {
        let remedy = "use a kernel built with CONFIG_SECCOMP_FILTER";
        Err((Verdict::Failed, "the kernel was built without it".to_owned(), remedy))
    };
    check("seccomp", result)
}

fn devices() -> Check {
    let usable = |path: &str| rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
    let broken: Vec<_> = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"]
        .into_iter()
        .filter(|path| !usable(path))
        .collect();
    let result = if broken.is_empty() {
        Ok("present and usable".to_owned())
    } else {
        let detail = format!("missing or not writable: {}", broken.join(", "));
        Err((Verdict::Failed, detail, "restore the usual devices with mode 0666"))
    };
    check("devices", result)
}

fn ids() -> Check {
    let detail = if can_mount() {
        "containers may use every user id"
    } else {
        "one user id per container: every file in it belongs to its user"
    };
    check("user ids", Ok(detail.to_owned()))
}

fn control_groups() -> Vec<Check> {
    let named = |controller| match controller {
        "memory" => "memory limits",
        "pids" => "process limits",
        _ => "processor limits",
    };
    let result = |found: Result<(), String>| match found {
        Ok(()) => Ok("enforced".to_owned()),
        Err(why) => {
            let remedy = "containers run without this limit; run as root, or in a systemd unit or \
                scope with Delegate=yes";
            Err((Verdict::Warning, why, remedy))
        }
    };
    cgroup::probe()
        .into_iter()
        .map(|(controller, found)| check(named(controller), result(found)))
        .collect()
}

fn disk(data_dir: &Path) -> Check {
    let present = data_dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let result = match rustix::fs::statvfs(present) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let gib = free as f64 / f64::from(1 << 30);
            let detail = format!("{gib:.1} GiB free at {}", present.display());
            if free >= DISK_FREE_BYTES_MIN {
                Ok(detail)
            } else {
                Err((Verdict::Warning, detail, "free some space, or choose another --data"))
            }
        }
        Err(errno) => {
            let detail = format!("cannot look at {}: {errno}", present.display());
            Err((Verdict::Warning, detail, "choose a readable --data"))
        }
    };
    check("disk", result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_is_not_fine_says_what_to_do() {
        let checks = doctor(Path::new("/nonexistent/below"));
        assert!(checks.len() >= 10);
        for check in checks {
            assert_eq!(check.remedy.is_empty(), check.verdict == Verdict::Ok, "{check:?}");
            assert!(!check.detail.is_empty());
        }
    }
}
