//! What a container's life looks like from the controller when all goes well.

use std::time::Duration;

use history::{Series, Span, Usage};
use lifecycle::wait_until;
use model::{Outcome, Phase, ToSupervisor};
use tokio::io::AsyncReadExt;
use tunnel::{LogQuery, LogStream, OpenError, RefuseReason, StreamKind};

use crate::harness::{Launched, SOON, Test, read, run};

pub(crate) const TESTS: &[Test] = &[
    ("a_service_is_reached_and_stopped", a_service_is_reached_and_stopped),
    ("a_batch_run_keeps_its_output_and_code", a_batch_run_keeps_its_output_and_code),
    ("logs_are_served_and_followed", logs_are_served_and_followed),
    ("controllers_may_come_and_go", controllers_may_come_and_go),
    ("each_controller_has_a_tunnel_of_its_own", each_controller_has_a_tunnel_of_its_own),
    ("what_is_used_is_kept_beside_the_state", what_is_used_is_kept_beside_the_state),
    ("a_supervisor_is_small", a_supervisor_is_small),
];

const HTTPD: &[&str] = &["httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www"];

fn a_service_is_reached_and_stopped() {
    run(async {
        let mut launched = Launched::prepare(HTTPD);
        let mut controller = launched.connected().await;
        controller.until_ready().await;
        let answer = controller.get(8080, "/index.html").await;
        assert!(answer.ends_with("\r\n\r\nhello from inside\n"), "{answer}");
        let refused = controller.tunnel.open(StreamKind::App(8081)).await.unwrap_err();
        assert_eq!(refused, OpenError::Refused { reason: RefuseReason::PortClosed });

        controller.send(ToSupervisor::Stop { grace_ms: 5000 }).await;
        let end = controller.end().await;
        assert!(matches!(end.outcome, Outcome::Stopped { .. }), "{end:?}");
        assert_eq!(end.reason, "stopped on request");
        assert!(launched.exit().await.success());
        assert_eq!(launched.state().end, Some(end));
        for gone in ["rootfs", "tmp", "secret", "pid"] {
            assert!(!launched.has(gone), "{gone} is left");
        }
    });
}

fn a_batch_run_keeps_its_output_and_code() {
    run(async {
        let script =
            "echo to stdout; echo to stderr >&2; echo made >/out/file; cat /out/file; exit 3";
        let mut launched = Launched::prepare(&["sh", "-c", script]);
        let mut controller = launched.connected().await;
        let end = controller.end().await;
        assert_eq!(end.outcome, Outcome::Exited { code: 3 });
        assert_eq!(end.reason, "exited with code 3");
        assert_eq!(launched.log("stdout.txt"), "to stdout\nmade");
        assert_eq!(launched.log("stderr.txt"), "to stderr");
        let words = launched.log("crunch-run.txt");
        assert!(words.contains("starting `sh`") && words.contains("exited with code 3"), "{words}");
        assert!(launched.exit().await.success());
    });
}

fn logs_are_served_and_followed() {
    run(async {
        let script = "echo one; while [ ! -e /out/go ]; do sleep 0.05; done; echo two";
        let mut launched = Launched::prepare(&["sh", "-c", script]);
        let mut controller = launched.connected().await;
        let query = LogQuery { stream: LogStream::Stdout, offset: 0, follow: true };
        let mut followed = controller.tunnel.open(StreamKind::Log(query)).await.unwrap();
        let mut first = [0; 35];
        followed.read_exact(&mut first).await.unwrap();
        assert!(first.ends_with(b"Z one\n"), "{}", String::from_utf8_lossy(&first));
        std::fs::write(launched.dir.join("tmp/0/go"), "").unwrap();
        let mut rest = String::new();
        followed.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("Z two\n"), "{rest}");
        assert_eq!(controller.end().await.outcome, Outcome::Exited { code: 0 });
        assert!(launched.exit().await.success());
    });
}

fn controllers_may_come_and_go() {
    run(async {
        let mut launched = Launched::prepare(HTTPD);
        // Nobody listens yet: the container runs all the same.
        launched.start();
        let begun = || launched.has("state.json") && launched.state().phase == Phase::Running;
        wait_until("the command to run", SOON, begun).await.unwrap();
        for name in ["first", "second"] {
            // The socket of one that was killed stays behind.
            let listener = launched.bind(name);
            let accepted = tokio::time::timeout(Duration::from_secs(2), launched.accept(&listener));
            let mut controller = accepted.await.expect("the supervisor comes by itself in 2 s");
            controller.until_ready().await;
            assert!(controller.get(8080, "/").await.contains("hello from inside"));
            // As kill -9 does it: no goodbye.
            drop(controller);
        }
        let listener = launched.bind("third");
        let mut controller = launched.accept(&listener).await;
        controller.send(ToSupervisor::Stop { grace_ms: 0 }).await;
        assert_eq!(controller.end().await.reason, "stopped on request");
        assert!(launched.exit().await.success());
    });
}

fn each_controller_has_a_tunnel_of_its_own() {
    run(async {
        let mut launched = Launched::prepare(HTTPD);
        let mut first = launched.connected().await;
        first.until_ready().await;
        // One that knocks does not wait for the supervisor to look by itself.
        let begin = std::time::Instant::now();
        let listener = launched.bind("second");
        tunnel::handover::knock(&launched.dir).await.unwrap();
        let mut second = launched.accept(&listener).await;
        println!("a tunnel {:?} after the knock", begin.elapsed());
        second.until_ready().await;
        for controller in [&first, &second] {
            assert!(controller.get(8080, "/").await.contains("hello from inside"));
        }
        // Who leaves takes its entry away first, and keeps its tunnel until it has gone.
        launched.remove_entry("first");
        tunnel::handover::knock(&launched.dir).await.unwrap();
        assert!(first.get(8080, "/").await.contains("hello from inside"));
        drop(first);
        second.send(ToSupervisor::Stop { grace_ms: 0 }).await;
        assert_eq!(second.end().await.reason, "stopped on request");
        assert!(launched.exit().await.success());
    });
}

/// The last quarter of an hour, as a controller reads it.
pub(crate) fn used(launched: &Launched) -> Vec<Usage> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // A slot is told of once it has ended for sure.
    let soon = now.as_secs() + 6;
    let read = Series::read(&launched.dir.join("usage.history"), Span::Quarter, soon).unwrap();
    read.slots.into_iter().flatten().collect()
}

fn what_is_used_is_kept_beside_the_state() {
    run(async {
        let mut launched = Launched::prepare(&["sh", "-c", "while :; do :; done"]);
        let mut controller = launched.connected().await;
        let measured = || used(&launched).iter().any(|slot| slot.cpu_us > 0);
        wait_until("the end of a slot", SOON, measured).await.unwrap();
        let slot = used(&launched).into_iter().find(|slot| slot.cpu_us > 0).unwrap();
        assert!(slot.cores().is_some_and(|cores| cores < 1.3), "{slot:?}");
        assert!(slot.n_processes_max >= 1 && slot.memory_bytes_max > 0, "{slot:?}");
        let lines = launched.log("crunchstat.txt");
        assert!(lines.contains(" user 0.0000 sys 1 cpus") && lines.contains(" rss"), "{lines}");
        controller.send(ToSupervisor::Stop { grace_ms: 0 }).await;
        controller.end().await;
        assert!(launched.exit().await.success());
        assert!(!used(&launched).is_empty(), "it stays when the container is over");
    });
}

fn a_supervisor_is_small() {
    run(async {
        let mut launched = Launched::prepare(HTTPD);
        let mut controller = launched.connected().await;
        controller.until_ready().await;
        for _ in 0..20 {
            controller.get(8080, "/").await;
        }
        let pid = launched.child().id();
        let status = read(format!("/proc/{pid}/status")).unwrap();
        let kib = |field: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(field)).unwrap();
            line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
        };
        // Pages of the executable are shared by all supervisors; what each costs is its own.
        println!("VmRSS {} KiB, of it anonymous {} KiB", kib("VmRSS"), kib("RssAnon"));
        assert!(kib("RssAnon") < 4 << 10, "{status}");
        controller.send(ToSupervisor::Stop { grace_ms: 0 }).await;
        controller.end().await;
        assert!(launched.exit().await.success());
    });
}
