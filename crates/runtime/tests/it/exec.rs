//! Further commands in a container that runs.

use crate::fixture::{SOON, Site, assert_nothing_left};
use crate::harness::tests;
use runtime::{
    Exec, ExecError, ExecSpec, ExecStreams, ExitStatus, Handle, Limits, Signal, TerminalSize,
};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

tests![
    a_command_has_three_pipes_and_an_exit_code,
    a_command_with_a_terminal_is_in_charge_of_it,
    hanging_up_ends_what_reads_the_terminal,
    nothing_tells_it_from_the_containers_own_command,
    it_gains_nothing_that_the_command_has_not,
    a_user_rewritten_in_the_image_is_still_the_same,
    what_has_no_shell_says_so,
    what_cannot_run_says_why,
    signals_reach_the_whole_group_and_killing_the_session,
    it_ends_with_the_container,
    one_that_is_stopped_before_it_starts_holds_nobody_up,
    no_path_leads_out_by_open_descriptors,
];

/// What decides what a process may do, where it is and what it sees.
const RIGHTS: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|CoreDumping|NSsid)' /proc/self/status | grep -v NSsid; \
    for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup; ulimit -a; \
    umask; pwd; env | grep -Ev '^(_|SHLVL|TERM|OLDPWD)=' | sort";

fn command(argv: &[&str]) -> ExecSpec {
    ExecSpec { argv: argv.iter().map(|&word| word.to_owned()).collect(), ..ExecSpec::default() }
}

fn with_terminal(argv: &[&str]) -> ExecSpec {
    let terminal = Some(TerminalSize { columns: 132, rows: 43 });
    ExecSpec { terminal, ..command(argv) }
}

async fn sleeping(site: &Site, id: &str) -> Handle {
    site.shell(id, "exec sleep 1000").start().await.expect("it starts")
}

async fn start(handle: &Handle, spec: ExecSpec) -> (Exec, ExecStreams) {
    handle.executor().start(spec).await.expect("it starts")
}

async fn run(handle: &Handle, spec: ExecSpec) -> (String, String, ExitStatus) {
    let (mut exec, streams) = start(handle, spec).await;
    let ExecStreams::Pipes { input, output, error } = streams else { panic!("a terminal") };
    drop(input);
    let (output, error) = (read(output), read(error));
    (output.await, error.await, exec.wait().await)
}

/// Reads to the end; of a terminal the end is an error (EIO).
async fn read(from: OwnedFd) -> String {
    let read = move || {
        let mut bytes = Vec::new();
        let _end = File::from(from).take(u64::MAX).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    tokio::task::spawn_blocking(read).await.expect("it is read")
}

/// How many processes of the container have this command line.
async fn n_of(handle: &Handle, line: &str) -> usize {
    let script = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done";
    let (lines, ..) = run(handle, command(&["sh", "-c", script])).await;
    lines.lines().filter(|found| found.trim() == line).count()
}

async fn a_command_has_three_pipes_and_an_exit_code() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let (output, error, status) =
        run(&handle, command(&["sh", "-c", "echo out; echo err >&2; tty; exit 7"])).await;
    assert_eq!((output.as_str(), error.as_str()), ("out\nnot a tty\n", "err\n"));
    assert_eq!(status, ExitStatus::Code(7));
    let (mut exec, streams) = start(&handle, command(&["wc", "-c"])).await;
    let ExecStreams::Pipes { input, output, .. } = streams else { panic!("a terminal") };
    let mut input = File::from(input);
    input.write_all(b"four").expect("written");
    drop(input);
    assert_eq!(read(output).await, "4\n");
    assert_eq!(exec.wait().await, ExitStatus::Code(0));
    assert_eq!(exec.wait().await, ExitStatus::Code(0));
    handle.cleanup().await;
    assert!(matches!(handle.executor().start(command(&["true"])).await, Err(ExecError::Gone)));
    assert_nothing_left(&site, "c").await;
}

async fn a_command_with_a_terminal_is_in_charge_of_it() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let script = "tty; stty size; ls -ln /dev/pts/0; /bin/sleep 1000; echo after $?";
    let spec = ExecSpec {
        env: vec![("TERM".to_owned(), "dumb".to_owned())],
        ..with_terminal(&["sh", "-c", &format!("trap 'echo stopped' INT; echo $TERM; {script}")])
    };
    let (mut exec, streams) = start(&handle, spec).await;
    let ExecStreams::Terminal(terminal) = streams else { panic!("pipes") };
    let mut keys = File::from(terminal.try_clone().expect("a descriptor"));
    let reader = tokio::spawn(read(terminal));
    // Once `sleep` is in the foreground, Ctrl-C is for it and the shell.
    let asleep = || async { (n_of(&handle, "/bin/sleep 1000").await == 1).then_some(()) };
    lifecycle::wait_for("the sleep", SOON, asleep).await.expect("it sleeps");
    keys.write_all(b"\x03").expect("written");
    assert_eq!(exec.wait().await, ExitStatus::Code(0));
    let said = reader.await.expect("read").replace('\r', "");
    assert!(said.starts_with("dumb\n/dev/pts/0\n43 132\ncrw--w----"), "{said}");
    assert!(said.contains("^Cstopped\nafter 130\n"), "{said}");
    handle.cleanup().await;
}

async fn hanging_up_ends_what_reads_the_terminal() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let (mut exec, streams) = start(&handle, with_terminal(&[])).await;
    drop(streams);
    let status = tokio::time::timeout(SOON, exec.wait()).await.expect("it ends");
    assert_eq!(status, ExitStatus::Signal(libc::SIGHUP));
    handle.cleanup().await;
}

async fn nothing_tells_it_from_the_containers_own_command() {
    let site = Site::new().await;
    for user in ["root", "web"] {
        let script = format!("{{ {RIGHTS}; }} > /tmp/own 2>&1; exec sleep 1000");
        let mut draft = site.shell(&format!("c-{user}"), &script).user(user);
        draft = draft.env("SOME", "thing").limits(Limits {
            memory_bytes: Some(64 << 20),
            pids_max: Some(50),
            cpus: Some(1.0),
        });
        draft.spec.cwd = "/www".to_owned();
        let handle = draft.start().await.expect("it starts");
        let own = || async {
            let (own, ..) = run(&handle, command(&["cat", "/tmp/own"])).await;
            own.contains("SOME=thing").then_some(own)
        };
        let own = lifecycle::wait_for("the command's own words", SOON, own).await.expect("said");
        let (joined, error, _) = run(&handle, command(&["sh", "-c", RIGHTS])).await;
        assert_eq!(joined, own, "{user} {error}");
        let (mut exec, streams) = start(&handle, with_terminal(&["sh", "-c", RIGHTS])).await;
        let ExecStreams::Terminal(terminal) = streams else { panic!("pipes") };
        assert_eq!(read(terminal).await.replace('\r', ""), own, "{user}");
        assert_eq!(exec.wait().await, ExitStatus::Code(0));
        handle.cleanup().await;
    }
}

async fn it_gains_nothing_that_the_command_has_not() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let script = "mount -t tmpfs x /tmp; unshare -r true; mknod /tmp/disk b 254 0; cat /proc/1/environ; \
        nsenter -t 1 -m true; hostname evil; kill -KILL 1; dmesg; ls /proc/self/fd | wc -l; readlink /proc/1/exe; \
        for n in 3 4 5 6 7 8 9 10; do readlink /proc/$$/fd/$n; done; echo end";
    let (output, error, _) = run(&handle, command(&["sh", "-c", script])).await;
    assert_eq!(output, "4\nend\n", "{error}");
    for call in ["mount:", "unshare:", "mknod:", "hostname:", "dmesg:"] {
        assert!(error.contains(call), "{call} {error}");
    }
    // Processes of the container cannot look into one that joins it, and those of one user into each other as ever.
    let (output, ..) = run(
        &handle,
        command(&["sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done"]),
    )
    .await;
    assert!(!output.contains(site.dir.path().to_str().expect("text")), "{output}");
    handle.cleanup().await;
}

async fn a_user_rewritten_in_the_image_is_still_the_same() {
    let site = Site::new().await;
    let writable = site.dir.path().join("passwd");
    std::fs::write(&writable, "web:x:1000:1000::/home/web:/bin/sh\n").expect("written");
    std::fs::set_permissions(&writable, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("a mode");
    let script =
        "echo web:x:0:0::/root:/bin/sh > /etc/passwd; echo done > /tmp/done; exec sleep 1000";
    let draft = site.shell("c", script).user("web").mount(&writable, "/etc/passwd", true);
    let handle = draft.start().await.expect("it starts");
    let done = || async {
        let (said, ..) = run(&handle, command(&["cat", "/tmp/done", "/etc/passwd"])).await;
        said.contains("web:x:0:0").then_some(())
    };
    lifecycle::wait_for("the new file", SOON, done).await.expect("it is written");
    let (output, ..) = run(&handle, command(&["sh", "-c", "id -u; id -g; echo $HOME"])).await;
    assert_eq!(output, "1000\n1000\n/home/web\n");
    handle.cleanup().await;
}

async fn what_has_no_shell_says_so() {
    let site = Site::new().await;
    let script = "cp /bin/busybox /tmp/sleep; rm /bin/sh /bin/ash /bin/bash; exec /tmp/sleep 1000";
    let handle = site.shell("c", script).start().await.expect("it starts");
    let gone = || async {
        match handle.executor().start(command(&[])).await {
            Err(ExecError::Start(error)) => Some(error.to_string()),
            started => {
                drop(started);
                None
            }
        }
    };
    let words = lifecycle::wait_for("no shell", SOON, gone).await.expect("it says so");
    assert!(words.starts_with("there is no shell in the image"), "{words}");
    handle.cleanup().await;
    // The one that the environment names goes before the user's own.
    let draft = site.shell("d", "exec sleep 1000").env("SHELL", "/bin/id");
    let handle = draft.start().await.expect("it starts");
    assert!(run(&handle, command(&[])).await.0.starts_with("uid=0"));
    handle.cleanup().await;
}

async fn what_cannot_run_says_why() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let words = async |spec| match handle.executor().start(spec).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it runs"),
    };
    assert_eq!(words(command(&["nope"])).await, "command `nope` not found in the image");
    assert!(words(with_terminal(&["/opt/no-interpreter"])).await.contains("/opt/python3"));
    let long = "x".repeat(30 << 10);
    assert!(words(command(&["echo", &long])).await.contains("longer than"));
    handle.cleanup().await;
}

async fn signals_reach_the_whole_group_and_killing_the_session() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let (mut exec, _streams) =
        start(&handle, command(&["sh", "-c", "/bin/sleep 1001 | cat"])).await;
    exec.signal(Signal::INT).await.expect("sent");
    assert!(matches!(exec.wait().await, ExitStatus::Signal(_) | ExitStatus::Code(130)));
    // A job in a group of its own, of a shell that ignores what can be ignored.
    let script = "trap '' HUP INT TERM; set -m; /bin/sleep 1002 & wait; wait; /bin/sleep 1003";
    let (mut exec, _streams) = start(&handle, command(&["sh", "-c", script])).await;
    let n_sleeping = || n_of(&handle, "/bin/sleep 1002");
    let one = || async { (n_sleeping().await == 1).then_some(()) };
    lifecycle::wait_for("the job", SOON, one).await.expect("it sleeps");
    exec.kill().await;
    assert_eq!(exec.wait().await, ExitStatus::Signal(libc::SIGKILL));
    let none = || async { (n_sleeping().await == 0).then_some(()) };
    lifecycle::wait_for("the job's end", SOON, none).await.expect("it is gone");
    handle.cleanup().await;
}

async fn it_ends_with_the_container() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    let (mut exec, _streams) = start(&handle, with_terminal(&["sleep", "1004"])).await;
    let (mut second, _pipes) = start(&handle, command(&["sleep", "1005"])).await;
    handle.signal(Signal::KILL).await.expect("sent");
    let exit = tokio::time::timeout(SOON, handle.wait()).await.expect("it ends");
    assert_eq!(exit.status, ExitStatus::Signal(libc::SIGKILL));
    assert_eq!(exec.wait().await, ExitStatus::Signal(libc::SIGKILL));
    assert_eq!(second.wait().await, ExitStatus::Signal(libc::SIGKILL));
    handle.cleanup().await;
    // And without a word when the supervisor lets go of it.
    let handle = sleeping(&site, "d").await;
    let (mut exec, _streams) = start(&handle, with_terminal(&["sleep", "1006"])).await;
    drop(handle);
    let status = tokio::time::timeout(SOON, exec.wait()).await.expect("it ends");
    assert_eq!(status, ExitStatus::Signal(libc::SIGKILL));
    assert_nothing_left(&site, "d").await;
}

/// The container's root may stop every process that joins it, as soon as it sees it.
async fn one_that_is_stopped_before_it_starts_holds_nobody_up() {
    let site = Site::new().await;
    let script = "while :; do kill -STOP -1 2>/dev/null; done";
    let handle = site.shell("c", script).start().await.expect("it starts");
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let executor = handle.executor();
            tokio::spawn(async move { executor.start(command(&["sleep", "1007"])).await.map(drop) })
        })
        .collect();
    // The shim still makes sockets and kills.
    assert!(matches!(handle.dialer().dial(9).await, Err(runtime::DialError::Refused)));
    handle.kill().await;
    let exit = tokio::time::timeout(SOON, handle.wait()).await.expect("it ends");
    assert_eq!(exit.status, ExitStatus::Signal(libc::SIGKILL));
    for start in starts {
        tokio::time::timeout(SOON, start).await.expect("it is answered").expect("no panic").ok();
    }
    handle.cleanup().await;
    assert_nothing_left(&site, "c").await;
}

/// CVE-2024-21626 and its kin.
async fn no_path_leads_out_by_open_descriptors() {
    let site = Site::new().await;
    let handle = sleeping(&site, "c").await;
    for n in 3..64 {
        for way in [format!("/proc/self/fd/{n}/bin/sh"), format!("/proc/self/fd/{n}/../bin/sh")] {
            let started = handle.executor().start(command(&[&way, "-c", "true"])).await;
            assert!(started.is_err(), "{way}");
        }
    }
    handle.cleanup().await;
    for n in 3..32 {
        let mut draft = site.shell("d", "ls");
        draft.spec.cwd = format!("/proc/self/fd/{n}");
        assert!(draft.start().await.is_err(), "{n}");
    }
}
