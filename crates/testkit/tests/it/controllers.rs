//! Several controllers over one data directory, and the dispatcher beside them.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::Request;
use testkit::{Launch, Options, Service, Wharf, leaks, wait_for};

/// What one controller changes, the others know within this time; the promise.
const WITHIN: Duration = Duration::from_secs(1);
const REQUESTS: &str = "/arvados/v1/container_requests";
const LINKS: &str = "/arvados/v1/links";

/// `wharf controller` and `wharf dispatch`; requests go straight to the app, or through the tunnels.
fn site(direct_sockets: bool) -> Wharf {
    // Tunnels over TCP, as between machines.
    let config = format!(
        "Proxy: {{DirectSockets: {direct_sockets}}}\nTunnels: {{Listen: \"127.0.0.1:0\"}}\n"
    );
    Wharf::start_with(Options { apart: true, config: Some(config), ..Options::default() })
}

fn cancel_at(wharf: &Wharf, port: u16, service: &Service) {
    let path = format!("{REQUESTS}/{}", service.request);
    let body = json!({"container_request": {"priority": 0}});
    let _cancelled = wharf.api_at(port, "PUT", &path, Some(&body)).expect(200);
}

fn hostname(name: &str, service: &Service) -> Value {
    json!({"link": {"link_class": "hostname", "name": name, "head_uuid": service.request,
        "properties": {"port": 8080}}})
}

/// Both serve the same app, and what is written through one is served by the other.
fn behave_alike(direct_sockets: bool) {
    let wharf = site(direct_sockets);
    let second = wharf.start_another_controller();
    let service = wharf.app();
    let there = service.at(second.port());
    let _ticked = service.ask("POST", "/tick").send().expect(200);
    wait_for("the other controller to serve", testkit::BOUND, || there.get("/x").status() == 200);
    let mut socket = there.websocket("/ws");
    socket.send("hello".into()).expect("sent");
    assert_eq!(socket.read().expect("echoed").into_text().expect("text").as_str(), "hello");
    let upload = there.ask("POST", "/upload").body(vec![7; 1 << 20]).send().expect(200).json();
    assert_eq!(upload["bytes"], 1 << 20);
    // A service that is started through the second one is the first one's too.
    let other = wharf.launch(&Launch::default());
    assert_eq!(other.get("/").status(), 200);

    // A name that is given at one opens at the other at once, and moves with its link.
    let made = wharf.api_at(second.port(), "POST", LINKS, Some(&hostname("lab", &service)));
    let link = made.expect(200).json()["uuid"].as_str().expect("a uuid").to_owned();
    let host = wharf.host("lab");
    let ask = || wharf.request(&host, "GET", "/x").bearer(wharf.token()).send();
    wait_for("the name at the first controller", WITHIN, || ask().status() == 200);
    let path = format!("{LINKS}/{link}");
    let moved = json!({"link": {"head_uuid": other.request}});
    let _moved = wharf.api_at(second.port(), "PUT", &path, Some(&moved)).expect(200);
    let who = "readlink /proc/self/ns/mnt";
    let named = || wharf.request(&host, "POST", "/sh").bearer(wharf.token()).body(who).send();
    let expected = other.shell(who);
    assert_ne!(service.shell(who), expected);
    wait_for("the name to lead elsewhere", WITHIN, || named().text() == expected);
    let _gone = wharf.api_at(second.port(), "DELETE", &path, None).expect(200);
    wait_for("the name to be gone", WITHIN, || ask().status() == 404);

    // What is cancelled at one ends at both, streams included.
    cancel_at(&wharf, wharf.port(), &service);
    assert_eq!(service.wait_over(&wharf)["state"], "Cancelled");
    wait_for("the other to know", WITHIN, || there.get("/").status() == 410);
    let _code = testkit::websocket::read_end(&mut socket);
    wharf.finish_with(second);
}

#[test]
fn two_controllers_behave_alike_with_direct_sockets() {
    behave_alike(true);
}

#[test]
fn two_controllers_behave_alike_through_tunnels() {
    behave_alike(false);
}

#[test]
fn t37_a_token_revoked_at_one_controller_closes_streams_at_the_other_within_a_second() {
    let wharf = site(true);
    let second = wharf.start_another_controller();
    let (_user, token) = wharf.new_user("ada");
    let service = wharf.launch(&Launch { token: Some(token.clone()), ..Launch::default() });
    let mut socket = service.websocket("/ws");
    let mut events = service.ask("GET", "/events").start();
    let head = events.read_head();
    assert_eq!(head.status, 200);
    let uuid = token.split('/').nth(1).expect("a v2 token has a uuid");
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let begin = Instant::now();
    let _revoked = wharf.api_at(second.port(), "DELETE", &path, None).expect(200);
    let code = testkit::websocket::read_end(&mut socket);
    assert_eq!(code, Some(testkit::websocket::POLICY_VIOLATION));
    let _rest = events.read_rest(&head);
    assert!(begin.elapsed() < WITHIN, "{:?}", begin.elapsed());
    let _stranger = service.get("/").expect(403);
    let _stranger = service.at(second.port()).get("/").expect(403);
    wharf.finish_with(second);
}

#[test]
fn who_comes_in_by_any_controller_is_told_by_each_and_is_gone_with_it() {
    let mut wharf = site(true);
    let second = wharf.start_another_controller();
    let service = wharf.app();
    let there = service.at(second.port());
    wait_for("the other controller to serve", testkit::BOUND, || there.get("/").status() == 200);
    let _sockets = (service.websocket("/ws"), there.websocket("/ws"), there.websocket("/ws"));
    let _stranger = there.bare("GET", "/").send().expect(403);
    let connections = format!("/wharf/v1/container_requests/{}/connections", service.request);
    let visitors = format!("/wharf/v1/visitors/{}", service.request);
    let ask =
        |wharf: &Wharf, port, path: &str| wharf.api_at(port, "GET", path, None).expect(200).json();
    for port in [wharf.port(), second.port()] {
        wait_for("all sockets to be told", WITHIN, || {
            ask(&wharf, port, &connections) == json!({"sockets": 3})
        });
        let seen = ask(&wharf, port, &visitors);
        assert_eq!(seen["n_silent"], json!(0), "{seen}");
        assert_eq!(seen["visits"].as_array().map(Vec::len), Some(1), "one person: {seen}");
        assert_eq!(seen["visits"][0]["n_open"], json!(3), "{seen}");
        assert_eq!(seen["refused"][0]["why"], json!("not signed in"), "{seen}");
    }
    wharf.kill_controller();
    wait_for("what went through the killed one to be gone", testkit::BOUND, || {
        ask(&wharf, second.port(), &connections) == json!({"sockets": 2})
    });
    assert_eq!(ask(&wharf, second.port(), &visitors)["n_silent"], json!(0));
    let _time = wharf.restart_controller();
    let entries = std::fs::read_dir(wharf.data().join("run/peers")).expect("a folder").count();
    assert_eq!(entries, 2, "the killed one's entry is gone");
    wharf.finish_with(second);
}

#[test]
fn t07_a_single_use_code_works_once_in_all_controllers() {
    let wharf = site(true);
    let second = wharf.start_another_controller();
    let service = wharf.app();
    for _round in 0..5 {
        let body = json!({"uuid": service.request, "port": 8080, "path": "/lab"});
        let made = wharf.api("POST", "/wharf/v1/handoff", Some(&body)).expect(200).json();
        let rest = made["url"].as_str().expect("a link").trim_start_matches("http://").to_owned();
        let (host, target) = rest.split_at(rest.find('/').expect("a path"));
        let start = Barrier::new(8);
        let redeem = |port: u16| {
            let request = Request::new(port, host, "GET", target).navigating();
            start.wait();
            let reply = request.send().expect(303);
            reply.header("Set-Cookie").is_some_and(|cookie| !cookie.contains("Max-Age=0"))
        };
        let n_opened = std::thread::scope(|scope| {
            let ports = [wharf.port(), second.port()].into_iter().cycle().take(8);
            let redeem = &redeem;
            let asking: Vec<_> = ports.map(|port| scope.spawn(move || redeem(port))).collect();
            let opened = asking.into_iter().map(|asking| asking.join().expect("asked"));
            opened.filter(|opened| *opened).count()
        });
        assert_eq!(n_opened, 1);
    }
    wharf.finish_with(second);
}

#[test]
fn a_controller_that_is_killed_leaves_the_others_serving_and_its_socket_is_cleared_away() {
    let mut wharf = site(false);
    let second = wharf.start_another_controller();
    let service = wharf.app();
    let there = service.at(second.port());
    wait_for("the other controller to serve", testkit::BOUND, || there.get("/").status() == 200);
    wharf.kill_controller();
    let _serving = there.get("/").expect(200);
    let sockets = || std::fs::read_dir(wharf.data().join("run/tunnels")).expect("a folder").count();
    assert_eq!(sockets(), 2);
    let _time = wharf.restart_controller();
    let sockets = std::fs::read_dir(wharf.data().join("run/tunnels")).expect("a folder").count();
    assert_eq!(sockets, 2, "the killed one's socket is gone");
    wait_for("the new one to serve", Duration::from_secs(2), || service.get("/").status() == 200);
    let _serving = there.get("/").expect(200);
    wharf.finish_with(second);
}

#[test]
fn a_service_is_stopped_also_while_nobody_dispatches() {
    let mut wharf = site(true);
    let second = wharf.start_another_controller();
    let service = wharf.app();
    assert!(wharf.take_dispatcher().stop().success());
    cancel_at(&wharf, second.port(), &service);
    assert_eq!(service.wait_over(&wharf)["state"], "Cancelled");
    wait_for("everything of it to go", testkit::BOUND, || {
        leaks::processes_of(&wharf.container_folder(&service.container)).is_empty()
    });
    wharf.finish_with(second);
}

#[test]
fn when_a_dispatcher_is_killed_another_takes_its_place_and_its_containers() {
    let mut wharf = site(true);
    let waiting = wharf.start_dispatcher();
    let running = wharf.app();
    wharf.take_dispatcher().kill();
    // Taken up by the other one, which sees also what happens to those that it did not start.
    let started_later = wharf.launch(&Launch::default());
    assert_eq!(started_later.get("/").status(), 200);
    assert_eq!(running.get("/").status(), 200);
    let supervisor = wharf.supervisor_pid(&running.container).expect("a supervisor");
    testkit::kill(supervisor);
    let record = running.wait_over(&wharf);
    let words = record["runtime_status"]["error"].as_str().unwrap_or_default();
    assert!(words.contains("supervisor"), "{record}");
    wharf.finish_with(waiting);
}

#[test]
fn only_one_of_many_dispatchers_launches() {
    let wharf = site(true);
    let others: Vec<_> = (0..3).map(|_| wharf.start_dispatcher()).collect();
    wharf.import("testapp.docker.tar");
    let services: Vec<_> = (0..4).map(|_| wharf.submit(&Launch::default())).collect();
    for service in &services {
        service.wait_ready(&wharf);
        assert_eq!(service.record(&wharf)["lock_count"], 1);
    }
    drop(others);
    wharf.finish();
}

#[test]
fn a_second_wharf_up_on_the_directory_is_refused_and_a_controller_beside_it_is_not() {
    let wharf = Wharf::start();
    let refused = wharf.cli(&["up", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(refused.stderr.contains("another controller uses"), "{}", refused.stderr);
    assert!(refused.stderr.contains("wharf controller"), "{}", refused.stderr);
    let beside = wharf.start_another_controller();
    let service = wharf.app().at(beside.port());
    wait_for("the controller beside it", testkit::BOUND, || service.get("/").status() == 200);
    // Commands still go to the one that is named in the directory.
    let listed = wharf.cli(&["ps"]).expect(0);
    assert!(listed.stdout.contains("test"), "{}", listed.stdout);
    wharf.finish_with(beside);
}
