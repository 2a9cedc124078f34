//! Whatever goes wrong ends in words, and leaves nothing behind.

use lifecycle::wait_until;
use model::{Outcome, Phase, ToSupervisor};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Launched, SOON, Test, read, run};

pub(crate) const TESTS: &[Test] = &[
    ("a_command_that_does_not_exist_is_named", a_command_that_does_not_exist_is_named),
    ("an_app_that_ignores_sigterm_is_killed", an_app_that_ignores_sigterm_is_killed),
    ("a_killed_app_is_told_from_a_stopped_one", a_killed_app_is_told_from_a_stopped_one),
    ("an_app_without_memory_is_told_so", an_app_without_memory_is_told_so),
    ("a_killed_supervisor_leaves_nothing_after_a_sweep", a_killed_supervisor_leaves_nothing),
    ("a_container_has_one_supervisor", a_container_has_one_supervisor),
    ("sigterm_to_the_supervisor_stops_the_container", sigterm_stops_the_container),
    ("a_broken_directory_is_told_in_the_state_file", a_broken_directory_is_told),
    ("output_over_the_limit_is_cut_and_the_app_goes_on", output_over_the_limit_is_cut),
];

fn a_command_that_does_not_exist_is_named() {
    run(async {
        let mut launched = Launched::prepare(&["no-such-command", "x"]);
        let mut controller = launched.connected().await;
        let end = controller.end().await;
        assert_eq!(end.outcome, Outcome::FailedToStart);
        assert!(end.reason.contains("`no-such-command`"), "{}", end.reason);
        assert!(end.reason.contains("not found in the image"), "{}", end.reason);
        assert!(launched.exit().await.success());
        assert!(!launched.has("rootfs"));
    });
}

fn an_app_that_ignores_sigterm_is_killed() {
    run(async {
        let script = "trap '' TERM; echo ready; while true; do sleep 1; done";
        let mut launched = Launched::prepare(&["sh", "-c", script]);
        let mut controller = launched.connected().await;
        controller.until(|state| state.phase == Phase::Running).await;
        wait_until("the trap", SOON, || launched.log("stdout.txt") == "ready").await.unwrap();
        controller.send(ToSupervisor::Stop { grace_ms: 200 }).await;
        let end = controller.end().await;
        assert_eq!(end.outcome, Outcome::Stopped { code: None });
        let words = "stopped on request; it did not end within 200 ms of SIGTERM and was killed";
        assert_eq!(end.reason, words);
        assert!(launched.exit().await.success());
    });
}

fn a_killed_app_is_told_from_a_stopped_one() {
    run(async {
        let mut launched = Launched::prepare(&["sh", "-c", "kill -9 $$"]);
        let mut controller = launched.connected().await;
        let end = controller.end().await;
        assert_eq!(end.outcome, Outcome::Signalled { signal: 9 });
        assert_eq!(end.reason, "killed by signal 9 (SIGKILL)");
        assert!(launched.exit().await.success());
    });
}

fn an_app_without_memory_is_told_so() {
    run(async {
        // Each round doubles a string; 64 MiB are soon gone.
        let script = "x=0123456789abcdef; while true; do x=$x$x; done";
        let mut launched = Launched::prepare(&["sh", "-c", script]);
        if !runtime::Runtime::probe(&runtime::Embedded).memory_limit {
            println!("(no memory control groups here: the limit cannot be enforced)");
            return;
        }
        let mut controller = launched.connected().await;
        let end = controller.end().await;
        assert!(end.oom_killed, "{end:?}");
        assert_eq!(end.reason, "ran out of memory (limit 64 MiB)");
        assert!(crate::life::used(&launched).iter().any(|slot| slot.oom_kills == 1), "a mark");
        assert!(launched.exit().await.success());
    });
}

fn a_killed_supervisor_leaves_nothing() {
    run(async {
        let mut launched = Launched::prepare(&["sh", "-c", "sleep 1000 & sleep 1000"]);
        let mut controller = launched.connected().await;
        controller.until(|state| state.phase == Phase::Running).await;
        launched.child().kill().unwrap();
        launched.exit().await;
        assert_eq!(launched.state().phase, Phase::Running, "it could not say more");
        let (status, words) = launched.sweep();
        assert!(status.success(), "{words}");
        assert!(!launched.has("rootfs") && !launched.has("tmp"));
        assert!(launched.has("secret"), "the dispatcher forgets it, not the sweep");
        assert_eq!(processes_of(&launched), Vec::<String>::new());
        let mounts = read("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(launched.dir.to_str().unwrap()), "{mounts}");
    });
}

/// Processes whose command line or root names the container.
fn processes_of(launched: &Launched) -> Vec<String> {
    let name = launched.spec.container_uuid.to_string();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    pids.filter(|entry| entry.file_name().to_str().is_some_and(|it| it.parse::<u32>().is_ok()))
        .filter_map(|entry| read(entry.path().join("cmdline")))
        .filter(|command| command.contains(&name))
        .collect()
}

fn a_container_has_one_supervisor() {
    run(async {
        let mut launched = Launched::prepare(&["sleep", "1000"]);
        let mut controller = launched.connected().await;
        controller.until(|state| state.phase == Phase::Running).await;
        assert_eq!(launched.start_another().code(), Some(3));
        let (status, words) = launched.sweep();
        assert!(!status.success() && words.contains("another supervisor"), "{words}");
        assert_eq!(launched.state().phase, Phase::Running);
        controller.send(ToSupervisor::Stop { grace_ms: 0 }).await;
        controller.end().await;
        assert!(launched.exit().await.success());
    });
}

fn sigterm_stops_the_container() {
    run(async {
        let mut launched = Launched::prepare(&["sleep", "1000"]);
        launched.spec.stop_grace_ms = 500;
        let mut controller = launched.connected().await;
        controller.until(|state| state.phase == Phase::Running).await;
        let pid = Pid::from_raw(i32::try_from(launched.child().id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let end = controller.end().await;
        assert!(matches!(end.outcome, Outcome::Stopped { .. }), "{end:?}");
        assert!(launched.exit().await.success());
    });
}

fn a_broken_directory_is_told() {
    run(async {
        let mut launched = Launched::prepare(&["true"]);
        launched.start();
        launched.child().kill().unwrap();
        launched.exit().await;
        std::fs::write(launched.dir.join("spec.json"), "{").unwrap();
        assert_eq!(launched.start_another().code(), Some(1));
        let end = launched.state().end.unwrap();
        assert_eq!(end.outcome, Outcome::FailedToStart);
        assert!(end.reason.contains("is no launch specification"), "{}", end.reason);
        assert!(launched.sweep().0.success());
    });
}

fn output_over_the_limit_is_cut() {
    run(async {
        let script = "yes 0123456789 | head -c 3000000; echo done >&2";
        let mut launched = Launched::prepare(&["sh", "-c", script]);
        let mut controller = launched.connected().await;
        assert_eq!(controller.end().await.outcome, Outcome::Exited { code: 0 });
        let length = launched.dir.join("log/stdout.txt").metadata().unwrap().len();
        assert!(((1 << 20)..(1 << 20) + 300).contains(&length), "{length}");
        assert!(launched.log("stdout.txt").ends_with("(Containers.LogBytesMax)"));
        assert_eq!(launched.log("stderr.txt"), "done");
        assert!(launched.exit().await.success());
    });
}
