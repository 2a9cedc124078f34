//! How services come to their end by themselves: maximum life, want of use, what is told before, and extending. And how
//! one that lives and does not answer is told from one that does.

use serde_json::{Value, json};
use testkit::websocket::tungstenite::Message;
use testkit::{Launch, Service, Wharf, wait_for, wait_for_some};

/// Notes of use come at once, and looks for work are frequent.
const QUICK: &str = "Lifetimes: {UseInterval: 1s, WarnBefore: 1h}\n";

fn limited(limits: &Value) -> Launch {
    Launch { more: json!({ "scheduling_parameters": limits }), ..Launch::default() }
}

/// The time of an attribute, in milliseconds.
fn time(record: &Value, name: &str) -> Option<i64> {
    let at: jiff::Timestamp = record[name].as_str()?.parse().expect("a time");
    Some(at.as_millisecond())
}

fn ended_words(service: &Service, wharf: &Wharf) -> String {
    let record = service.wait_over(wharf);
    assert_eq!(record["state"], "Cancelled", "{record}");
    assert_eq!(service.request_record(wharf)["state"], "Final");
    assert_eq!(service.request_record(wharf)["priority"], 0);
    assert!(record["runtime_status"].get("warning").is_none(), "{record}");
    record["runtime_status"]["activity"].as_str().unwrap_or_default().to_owned()
}

fn extend(wharf: &Wharf, service: &Service, seconds: u64) -> testkit::http::Reply {
    let path = format!("/wharf/v1/container_requests/{}/extend", service.request);
    wharf.api("POST", &path, Some(&json!({ "seconds": seconds })))
}

#[test]
fn a_service_ends_at_its_maximum_life_across_a_restart_of_the_controller() {
    let mut wharf = Wharf::start_configured(QUICK);
    let service = wharf.launch(&limited(&json!({ "max_run_time": 4 })));
    let record = service.record(&wharf);
    let started = time(&record, "started_at").expect("it has started");
    assert_eq!(time(&record, "stops_at"), Some(started + 4000));
    assert_eq!(record["stops_because"], "max_run_time");
    wharf.kill_controller();
    let _took = wharf.restart_controller();
    let words = ended_words(&service, &wharf);
    assert_eq!(words, "stopped because it had run for 4 s, its maximum life");
    let gone = service.ask("GET", "/").navigating().send().expect(410);
    assert!(gone.text().contains("stopped"), "{}", gone.text());
    wharf.finish();
}

#[test]
fn a_batch_run_ends_at_its_maximum_life_too() {
    let wharf = Wharf::start_configured(QUICK);
    let mut launch = limited(&json!({ "max_run_time": 2 }));
    launch.command = ["sleep", "1000"].map(str::to_owned).to_vec();
    launch.ports.clear();
    launch.more["service"] = json!(false);
    wharf.import("testapp.docker.tar");
    let run = wharf.submit(&launch);
    assert!(ended_words(&run, &wharf).contains("it had run for 2 s"));
    wharf.finish();
}

#[test]
fn a_service_that_nobody_uses_is_warned_of_and_ends_though_a_page_is_open() {
    let wharf = Wharf::start_configured(QUICK);
    let service = wharf.launch(&limited(&json!({ "idle_time": 4 })));
    let cookie = service.sign_in();
    // What an open page does by itself, for as long as it is answered.
    let socket = std::cell::RefCell::new(service.websocket("/ws"));
    let poll = || {
        let request = service.bare("GET", "/x").header("Cookie", &cookie);
        request.header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Site", "same-origin").send()
    };
    let told = service.wait(&wharf, "its end to be told", |record| {
        let _polled = poll();
        let _sent = socket.borrow_mut().send(Message::Ping(Vec::new().into()));
        record["runtime_status"]["warning"].as_str().is_some_and(|it| it.starts_with("stops at "))
    });
    assert_eq!(told["stops_because"], "idle_time");
    // The entry that listeners of events see.
    let filters = json!([["object_uuid", "=", service.container]]).to_string();
    let path = format!("/arvados/v1/logs?filters={}", encoded(&filters));
    let entries = wharf.api("GET", &path, None).expect(200).text();
    assert!(entries.contains("stops at "), "{entries}");
    let record = wait_for_some("the container to be over", testkit::BOUND, || {
        let _polled = poll();
        let record = service.record(&wharf);
        (record["state"] == "Cancelled").then_some(record)
    });
    assert_eq!(record["runtime_status"]["activity"], "stopped because nobody used it for 4 s");
    wharf.finish();
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn use_puts_the_end_off_by_whatever_way_it_comes_and_extending_does() {
    let wharf = Wharf::start_configured(QUICK);
    let service = wharf.launch(&limited(&json!({ "idle_time": 1000 })));
    let mut last = time(&service.record(&wharf), "last_used_at").expect("it was ready");
    let mut is_later = |way: &str| {
        last = wait_for_some(way, testkit::BOUND, || {
            time(&service.record(&wharf), "last_used_at").filter(|at| *at > last)
        });
        let ends = time(&service.record(&wharf), "stops_at");
        assert!(ends >= Some(last + 1_000_000), "{way}: {ends:?}");
    };
    let _program = service.get("/").expect(200);
    is_later("a program's request to be noted");
    let mut socket = service.websocket("/ws");
    socket.send(Message::text("hello")).expect("sent");
    is_later("what is said on a WebSocket to be noted");
    let path = format!("/wharf/v1/container_requests/{}/connections", service.request);
    assert_eq!(wharf.api("GET", &path, None).expect(200).json()["sockets"], 1);
    // Another controller notes it as well.
    let other = wharf.start_another_controller();
    let there = service.at(other.port());
    wait_for("the other controller to serve", testkit::BOUND, || there.get("/").status() == 200);
    is_later("a request through another controller to be noted");
    drop(other);

    let answer = extend(&wharf, &service, 5000).expect(200).json();
    let now = time(&service.record(&wharf), "last_used_at").expect("used");
    assert!(time(&answer, "stops_at") > Some(now + 4_000_000), "{answer}");
    let _none = extend(&wharf, &service, 0).expect(422);
    wharf.finish();
}

#[test]
fn what_is_said_of_its_life_can_be_changed_while_it_runs_within_the_sites_limits() {
    let config = "Lifetimes: {MaxRunTime: 1h, MaxRunTimeLimit: 2h, IdleTimeLimit: 30m}\n";
    let wharf = Wharf::start_configured(config);
    let service = wharf.app();
    let said = |wharf: &Wharf| {
        let said = service.request_record(wharf)["scheduling_parameters"].clone();
        (said["max_run_time"].as_u64(), said["idle_time"].as_u64())
    };
    assert_eq!(said(&wharf), (Some(3600), Some(1800)));
    let path = format!("/arvados/v1/container_requests/{}", service.request);
    let change = |parameters: Value| {
        let body = json!({ "container_request": { "scheduling_parameters": parameters } });
        wharf.api("PATCH", &path, Some(&body))
    };
    let refused = change(json!({ "max_run_time": 7201 })).expect(422);
    assert!(refused.text().contains("scheduling_parameters.max_run_time"), "{}", refused.text());
    let _changed = change(json!({ "max_run_time": 7200, "idle_time": 60 })).expect(200);
    assert_eq!(said(&wharf), (Some(7200), Some(60)));
    let container = service.record(&wharf)["scheduling_parameters"].clone();
    assert_eq!((&container["max_run_time"], &container["idle_time"]), (&json!(7200), &json!(60)));
    let _frozen = change(json!({ "max_run_time": 7200, "preemptible": true })).expect(422);
    let too_long = extend(&wharf, &service, 7300).expect(422);
    assert!(too_long.text().contains("2 h at most"), "{}", too_long.text());
    wharf.finish();
}

#[test]
fn work_keeps_a_service_that_nobody_opens() {
    let wharf = Wharf::start_configured(QUICK);
    // Works until it is told that it may rest; the first port tells it.
    let script = "testkit-app & while ! [ -e /tmp/rest ]; do :; done; wait";
    let worker = Launch::script(script);
    let working = wharf
        .launch(&Launch { more: json!({ "scheduling_parameters": { "idle_time": 3 } }), ..worker });
    let resting = wharf.launch(&limited(&json!({ "idle_time": 3 })));
    assert!(ended_words(&resting, &wharf).contains("nobody used it for 3 s"));
    assert_eq!(working.record(&wharf)["state"], "Running");
    let _told = working.shell("touch /tmp/rest");
    assert!(ended_words(&working, &wharf).contains("nobody used it for 3 s"));
    wharf.finish();
}

#[test]
fn a_listener_that_dies_is_told_and_so_is_its_return_and_the_end() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    // A second process opens the gates.
    let until = |gate: &str| format!("while ! [ -e /tmp/{gate} ]; do sleep 0.05; done");
    let script = format!(
        "testkit-app --port 9000 & testkit-app & app=$!; {}; kill $app; {}; testkit-app & {}; exit 7",
        until("die"),
        until("back"),
        until("end"),
    );
    let mut launch = Launch::script(&script);
    launch.ports = vec![(9000, "private", ""), (8080, "private", "")];
    let service = wharf.launch(&launch);
    let since = |record: &Value| record["published_ports"]["8080"].get("silent_since").cloned();
    let ready = |record: &Value| record["published_ports"]["8080"]["ready"] == true;
    let record = service.wait(&wharf, "the port to be ready", ready);
    assert_eq!(since(&record), None);
    let begin = std::time::Instant::now();
    let _dead = service.shell("touch /tmp/die");
    let _told = service.wait(&wharf, "the silence to be told", |it| since(it).is_some());
    assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
    let host = service.host_of(8080);
    let ask = || wharf.request(&host, "GET", "/").bearer(wharf.token()).send();
    let hint = ask().expect(502);
    assert!(hint.text().contains("8080"), "{}", hint.text());
    assert_eq!(since(&service.record(&wharf)["published_ports"]["9000"]), None);
    let _back = service.shell("touch /tmp/back");
    let _again = service.wait(&wharf, "its return to be told", |it| since(it).is_none());
    let _served = ask().expect(200);
    let _end = service.shell("touch /tmp/end");
    let over = service.wait_over(&wharf);
    assert_eq!((&over["state"], &over["exit_code"]), (&json!("Complete"), &json!(7)));
    wharf.finish();
}
