//! Limits hold where they can be had, and where not, that is said.

use crate::fixture::{Site, assert_nothing_left, cgroups_of};
use crate::harness::tests;
use runtime::{Embedded, ExitStatus, Limits, Runtime as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

tests![
    too_much_memory_is_an_oom_kill,
    a_limit_on_processes_holds,
    processor_time_is_limited,
    limits_that_cannot_be_had_are_noted,
    resource_limits_fit_servers,
    what_a_container_uses_is_read,
];

const MIB: u64 = 1 << 20;

async fn too_much_memory_is_an_oom_kill() {
    if !Embedded.probe().memory_limit {
        return;
    }
    let site = Site::new().await;
    let limits = Limits { memory_bytes: Some(32 * MIB), ..Limits::default() };
    // `tail` keeps all that it reads.
    let draft = site.container("c", &["sh", "-c", "exec tail /dev/zero"]).limits(limits);
    let (_, exit) = draft.output().await;
    assert_eq!((exit.status, exit.oom_killed), (ExitStatus::Signal(9), true));
    assert_nothing_left(&site, "c").await;
    let (_, exit) = site.shell("d", "exit 1").limits(limits).output().await;
    assert_eq!((exit.status, exit.oom_killed), (ExitStatus::Code(1), false));
}

async fn a_limit_on_processes_holds() {
    if !Embedded.probe().pids_limit {
        return;
    }
    let site = Site::new().await;
    let limits = Limits { pids_max: Some(5), ..Limits::default() };
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all";
    let (text, _) = site.shell("c", script).limits(limits).output().await;
    assert!(text.contains("can't fork") && !text.contains("all"), "{text}");
}

async fn processor_time_is_limited() {
    if !Embedded.probe().cpu_limit {
        return;
    }
    let site = Site::new().await;
    let limits = Limits { cpus: Some(0.25), memory_bytes: Some(64 * MIB), ..Limits::default() };
    let handle = site.shell("c", "sleep 100").limits(limits).start().await.expect("it starts");
    let read = |dir: &PathBuf, file| std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    let groups = cgroups_of(&site.id("c"));
    let quotas: String =
        groups.iter().map(|dir| read(dir, "cpu.cfs_quota_us") + &read(dir, "cpu.max")).collect();
    assert!(quotas.starts_with("25000"), "{quotas} {groups:?}");
    handle.cleanup().await;
    assert_nothing_left(&site, "c").await;
}

async fn limits_that_cannot_be_had_are_noted() {
    let site = Site::new().await;
    let found = Embedded.probe();
    let limits = Limits { memory_bytes: Some(64 * MIB), pids_max: Some(50), cpus: Some(1.0) };
    let handle = site.shell("c", "sleep 100").limits(limits).start().await.expect("it starts");
    let missing = [found.memory_limit, found.pids_limit, found.cpu_limit];
    let n_missing = missing.into_iter().filter(|enforced| !enforced).count();
    assert_eq!(handle.notes().len(), n_missing, "{:?}", handle.notes());
    handle.cleanup().await;
}

async fn resource_limits_fit_servers() {
    let site = Site::new().await;
    let (text, _) = site.output("c", "ulimit -Sn; ulimit -c").await;
    let mut lines = text.lines().map(|line| line.parse::<u64>().expect("a number"));
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    assert!(lines.next() >= Some(hard.unwrap_or(65_536).min(65_536)), "{text}");
    assert_eq!(lines.next(), Some(0));
}

/// With control groups and without.
async fn what_a_container_uses_is_read() {
    let site = Site::new().await;
    let groups = Limits { memory_bytes: Some(64 * MIB), cpus: Some(1.0), pids_max: None };
    for (id, limits) in [("c", groups), ("d", Limits::default())] {
        let busy = "while :; do :; done & exec sleep 100";
        let handle = site.shell(id, busy).limits(limits).start().await.expect("it starts");
        let meter = handle.meter();
        let first = meter.read().expect("it runs");
        // A shell in a loop is as busy as the machine lets it be.
        let deadline = Instant::now() + Duration::from_secs(30);
        let enough = first.cpu + Duration::from_millis(100);
        let last = loop {
            let now = meter.read().expect("it runs");
            if now.cpu >= enough && now.n_processes == 2 {
                break now;
            }
            assert!(Instant::now() < deadline, "{first:?} {now:?}");
            tokio::task::yield_now().await;
        };
        assert!((MIB / 16..64 * MIB).contains(&last.memory_bytes), "{last:?}");
        handle.cleanup().await;
        meter.read().expect_err("it has ended");
        assert_nothing_left(&site, id).await;
    }
}

/// A file system that is soon full; unmounted when dropped.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
}

impl SmallDisk {
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join("small");
        std::fs::create_dir(&path).expect("a directory");
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", &path, "tmpfs", flags, c"size=256k").expect("mounted");
        Self { path }
    }

    pub(crate) fn fill(&self) {
        std::fs::write(self.path.join("fill"), vec![0; 1 << 20]).expect_err("it is small");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    }
}
