//! However we end, nothing is left.

use crate::fixture::{SOON, Site, assert_nothing_left, processes_of, scratch};
use crate::harness::tests;
use runtime::{ContainerSpec, Embedded, ExitStatus, Limits, Runtime as _, UserSpec};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

tests![
    a_supervisor_that_is_killed_leaves_nothing,
    a_shim_that_is_killed_takes_the_container_along_and_is_swept,
    sweeping_ends_what_a_killed_pair_left,
    an_executable_that_was_replaced_still_starts_containers,
    an_image_in_use_is_kept_until_its_container_ends,
    a_start_that_is_given_up_leaves_nothing,
];

/// Tells a process of this program to be a supervisor; the value is what it needs to know.
const ROLE: &str = "WHARF_TEST_SUPERVISOR";

/// Tells it to remove its own executable first, as an upgrade does.
const VANISH: &str = "WHARF_TEST_VANISH";

/// Plays the supervisor that gets killed: starts a container, says so, and waits for ever.
pub(crate) fn play_role() -> Option<ExitCode> {
    let wanted = std::env::var(ROLE).ok()?;
    let (id, rest) = wanted.split_once('|').expect("id|dir|layers");
    let (dir, layers) = rest.split_once('|').expect("id|dir|layers");
    let null = || std::fs::File::options().write(true).open("/dev/null").expect("opened").into();
    let spec = ContainerSpec {
        id: id.to_owned(),
        dir: dir.into(),
        layers: layers.split('|').map(Into::into).collect(),
        argv: vec!["sleep".to_owned(), "1000".to_owned()],
        env: Vec::new(),
        cwd: String::new(),
        user: UserSpec::root(),
        hostname: "box".to_owned(),
        mounts: Vec::new(),
        files: Vec::new(),
        stdin: runtime::Input::Empty,
        listen: Vec::new(),
        limits: Limits { memory_bytes: Some(64 << 20), pids_max: Some(20), cpus: Some(1.0) },
        stdout: null(),
        stderr: null(),
    };
    if std::env::var_os(VANISH).is_some() {
        std::fs::remove_file(std::env::current_exe().expect("known")).expect("removed");
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let handle = Embedded.start(spec).await.expect("it starts");
        println!("{}", handle.pid());
        std::future::pending::<()>().await;
        drop(handle);
    });
    Some(ExitCode::SUCCESS)
}

/// A supervisor in a process of its own, with a container that runs.
fn supervisor(site: &Site, id: &str) -> Child {
    supervise(site, id, Command::new("/proc/self/exe"))
}

fn supervise(site: &Site, id: &str, mut program: Command) -> Child {
    let layers: Vec<_> = site.layers.iter().map(|l| l.to_string_lossy().into_owned()).collect();
    let dir = site.dir.path().join(id);
    let role = format!("{}|{}|{}", site.id(id), dir.display(), layers.join("|"));
    let mut child = program.env(ROLE, role).stdout(Stdio::piped()).spawn().expect("it is spawned");
    let stdout = child.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("it speaks");
    assert!(line.trim().parse::<u32>().is_ok(), "{line:?}");
    child
}

async fn a_supervisor_that_is_killed_leaves_nothing() {
    let site = Site::new().await;
    let mut child = supervisor(&site, "c");
    assert_eq!(processes_of(&site.id("c")).len(), 2, "shim and process 1");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    assert_nothing_left(&site, "c").await;
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}

async fn a_shim_that_is_killed_takes_the_container_along_and_is_swept() {
    let site = Site::new().await;
    let (handle, output) = site.shell("c", "sleep 1000").start_with_output().await;
    let init = i32::try_from(handle.pid()).expect("a process");
    let shim = processes_of(&site.id("c")).into_iter().find(|pid| *pid != init).expect("a shim");
    kill(shim);
    assert_eq!(handle.wait().await.status, ExitStatus::Signal(9));
    output.read_to_end().await;
    assert!(site.rootfs("c").exists());
    handle.cleanup().await;
    assert_nothing_left(&site, "c").await;
}

async fn sweeping_ends_what_a_killed_pair_left() {
    let site = Site::new().await;
    let mut child = supervisor(&site, "c");
    let shims = processes_of(&site.id("c"));
    // The supervisor first, stopped, so that it cannot notice; then the shim.
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("stopped");
    kill(*shims.iter().min().expect("a shim"));
    child.kill().expect("killed");
    child.wait().expect("reaped");
    assert!(site.rootfs("c").exists());
    for _ in 0..2 {
        runtime::sweep(&site.dir.path().join("c"), &site.id("c")).expect("swept");
    }
    assert_nothing_left(&site, "c").await;
    // A container that still runs ends, too.
    let mut child = supervisor(&site, "d");
    runtime::sweep(&site.dir.path().join("d"), &site.id("d")).expect("swept");
    assert_nothing_left(&site, "d").await;
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

async fn an_image_in_use_is_kept_until_its_container_ends() {
    let site = Site::new().await;
    let handle = site.shell("c", "sleep 1000").start().await.expect("it starts");
    assert!(site.store.remove("busybox:test").expect("removed"));
    assert!(site.layers.iter().all(|layer| layer.exists()), "its layers stay");
    assert_eq!(site.store.resolve("busybox:test").expect("looked up"), None);
    handle.cleanup().await;
    // Any later change of the store takes them along.
    let other = crate::layer_tar::Layer::new().file("x", 0o644, "x").finish();
    let config = crate::layer_tar::config(std::slice::from_ref(&other));
    let archive = crate::layer_tar::docker_archive("other", &config, &[other]);
    site.store.import(&archive[..], None, |_| {}).await.expect("imported");
    assert!(site.store.remove("other").expect("removed"));
    assert!(!site.layers.iter().any(|layer| layer.exists()), "its layers are gone");
}

async fn a_start_that_is_given_up_leaves_nothing() {
    let site = Site::new().await;
    for micros in [1, 300, 1000, 2000, 3000, 5000, 8000] {
        let start = site.shell("c", "sleep 1000").start();
        let bound = std::time::Duration::from_micros(micros);
        drop(tokio::time::timeout(bound, start).await);
        assert_nothing_left(&site, "c").await;
    }
    drop((scratch(), SOON));
}

async fn an_executable_that_was_replaced_still_starts_containers() {
    let site = Site::new().await;
    let program = site.dir.path().join("old-version");
    std::fs::copy("/proc/self/exe", &program).expect("copied");
    let mut command = Command::new(&program);
    command.env(VANISH, "1");
    let mut child = supervise(&site, "c", command);
    assert!(!program.exists());
    let init = *processes_of(&site.id("c")).iter().max().expect("process 1");
    if crate::harness::is_root() {
        // It runs from a sealed copy in memory.
        let exe = std::fs::read_link(format!("/proc/{init}/exe")).expect("a link");
        assert!(exe.to_string_lossy().starts_with("/memfd:wharf-shim"), "{exe:?}");
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    assert_nothing_left(&site, "c").await;
}
