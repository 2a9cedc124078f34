//! Processes of ours and of the app that die without warning.

use std::time::Duration;

use testkit::{Launch, Wharf, kill, leaks, wait_for};

/// The promise: a restarted controller serves what runs within this time.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// The test server, for which no other container is tried.
fn once(wharf: &Wharf) -> testkit::Service {
    let more = serde_json::json!({"container_count_max": 1});
    wharf.launch(&Launch { more, ..Launch::default() })
}

/// The words in which the record tells the end.
fn words(record: &serde_json::Value) -> String {
    let status = &record["runtime_status"];
    let words =
        [&status["error"], &status["activity"]].map(|text| text.as_str().unwrap_or_default());
    words.concat()
}

#[test]
fn services_live_through_a_kill_of_the_controller_and_answer_within_two_seconds() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let others: Vec<_> = (0..3).map(|_| wharf.launch(&Launch::default())).collect();
    let _ticked = service.ask("POST", "/tick").send().expect(200);
    let process = service.shell("cat /proc/$PPID/stat");
    let supervisor = wharf.supervisor_pid(&service.container);
    wharf.kill_controller();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(wharf.supervisor_pid(&service.container), supervisor, "the supervisor lives");
    let begin = std::time::Instant::now();
    let _serving = wharf.restart_controller();
    wait_for("the same address to answer", Duration::from_secs(20), || {
        service.get("/").status() == 200
    });
    let took = begin.elapsed();
    // A debug build on a busy machine starts slower than what is promised for a release.
    assert!(took < BACK_WITHIN * 2, "it took {took:?}");
    for other in &others {
        wait_for("the other services", BACK_WITHIN, || other.get("/").status() == 200);
    }
    // The same process with the same memory: one tick was counted before the crash.
    let started = |stat: &str| stat.split_whitespace().nth(21).map(str::to_owned);
    assert_eq!(started(&service.shell("cat /proc/$PPID/stat")), started(&process));
    assert_eq!(wharf.supervisor_pid(&service.container), supervisor);
    assert_eq!(service.record(&wharf)["state"], "Running");
    wharf.finish();
}

#[test]
fn services_live_through_an_orderly_restart_too() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let status = wharf.stop_controller();
    assert!(status.success(), "{status}");
    assert!(wharf.supervisor_pid(&service.container).is_some(), "the supervisor lives");
    let _serving = wharf.restart_controller();
    wait_for("the same address to answer", BACK_WITHIN * 2, || service.get("/").status() == 200);
    wharf.finish();
}

#[test]
fn what_happened_while_the_controller_was_down_is_in_the_record_afterwards() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let pid = wharf.supervisor_pid(&service.container).expect("a supervisor");
    let _answer = service.shell("(sleep 0.5; kill -9 $(pidof testkit-app)) >/dev/null 2>&1 & true");
    wharf.kill_controller();
    wait_for("the container's processes to end", testkit::BOUND, || {
        leaks::processes_of(&wharf.container_folder(&service.container))
            .iter()
            .all(|left| *left == pid)
    });
    let _serving = wharf.restart_controller();
    let record = service.wait_over(&wharf);
    assert!(words(&record).contains("SIGKILL") || words(&record).contains("signal 9"), "{record}");
    wharf.finish();
}

#[test]
fn a_killed_supervisor_takes_its_container_along_and_the_record_says_so() {
    let wharf = Wharf::start();
    let service = once(&wharf);
    kill(wharf.supervisor_pid(&service.container).expect("a supervisor"));
    let record = service.wait_over(&wharf);
    assert!(words(&record).contains("supervisor"), "{record}");
    let folder = wharf.container_folder(&service.container);
    wait_for("everything of it to go", testkit::BOUND, || {
        leaks::processes_of(&folder).is_empty() && !folder.join("rootfs").exists()
    });
    let _gone = service.get("/").expect(410);
    wharf.finish();
}

#[test]
fn a_supervisor_killed_while_the_controller_was_down_is_noticed_too() {
    let mut wharf = Wharf::start();
    let service = once(&wharf);
    wharf.kill_controller();
    kill(wharf.supervisor_pid(&service.container).expect("a supervisor"));
    let _serving = wharf.restart_controller();
    let record = service.wait_over(&wharf);
    assert!(words(&record).contains("supervisor"), "{record}");
    wharf.finish();
}

#[test]
fn a_killed_app_ends_the_container_with_its_signal() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let _gone = service.ask("POST", "/sh").body("kill -9 $PPID").try_send();
    let record = service.wait_over(&wharf);
    assert!(words(&record).contains("SIGKILL") || words(&record).contains("signal 9"), "{record}");
    assert_eq!(record["exit_code"], 137, "{record}");
    wharf.finish();
}

#[test]
fn an_app_that_crashes_ends_with_its_code() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let service = wharf.submit(&Launch::script("echo oops >&2; exit 3"));
    let record = service.wait_over(&wharf);
    assert_eq!((&record["state"], &record["exit_code"]), (&"Complete".into(), &3.into()));
    assert!(words(&record).contains('3'), "{record}");
    assert!(service.logs(&wharf).contains("oops"), "{}", service.logs(&wharf));
    wharf.finish();
}

#[test]
fn connections_to_an_app_that_dies_end_at_once() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut stream = service.ask("GET", "/events").start();
    let head = stream.read_head();
    assert_eq!(head.status, 200);
    let mut socket = service.websocket("/ws");
    let _gone = service.ask("POST", "/sh").body("kill -9 $PPID").try_send();
    let _rest = stream.read_rest(&head);
    let _code = testkit::websocket::read_end(&mut socket);
    let _record = service.wait_over(&wharf);
    wharf.finish();
}
