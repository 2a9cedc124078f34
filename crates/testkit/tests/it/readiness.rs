//! From "queued" to "ready": what a browser and a program are told, and that it moves on.

use serde_json::json;
use testkit::{Launch, Wharf, wait_for};

#[test]
fn a_program_gets_503_with_retry_after_and_json_until_the_port_opens() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let script = "while ! [ -e /tmp/go ]; do sleep 0.05; done; exec testkit-app";
    // A second process opens the gate, so that the first state lasts as long as we look at it.
    let opener = "testkit-app --port 9000 & ";
    let mut launch = Launch::script(&format!("{opener}{script}"));
    launch.ports = vec![(9000, "private", ""), (8080, "private", "")];
    let service = wharf.launch(&launch);
    let host = service.host_of(8080);
    let ask = || wharf.request(&host, "GET", "/lab?x=1").bearer(wharf.token());
    let waiting = ask().send().expect(503);
    let seconds = waiting.header("Retry-After").expect("a time to come back").to_owned();
    assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds <= 10), "{seconds}");
    assert!(waiting.json()["errors"][0].as_str().is_some_and(|text| text.contains("8080")));
    let page = ask().navigating().send().expect(503);
    assert!(page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.text().contains("<h1"), "{}", page.text());
    // A stranger learns nothing of it.
    let _stranger = wharf.request(&host, "GET", "/").send().expect(403);
    // A post is not repeated by a page; it is refused in the same words.
    let _post =
        wharf.request(&host, "POST", "/").bearer(wharf.token()).body("x").send().expect(503);
    let _opened = service.shell("touch /tmp/go");
    wait_for("the port to be served", testkit::BOUND, || ask().send().status() == 200);
    let ready = |record: &serde_json::Value| record["published_ports"]["8080"]["ready"] == true;
    let _record = service.wait(&wharf, "the record to say so too", ready);
    wharf.finish();
}

#[test]
fn a_queued_service_says_why_it_waits_and_starts_when_there_is_room() {
    let wharf = Wharf::start_configured("Containers: {MaxContainers: 1}\n");
    let first = wharf.app();
    let second = wharf.submit(&Launch::default());
    let waiting = second.get("/").expect(503);
    assert!(waiting.header("Retry-After").is_some());
    let page = second.ask("GET", "/").navigating().send().expect(503);
    assert!(page.text().to_ascii_lowercase().contains("queue"), "{}", page.text());
    assert_eq!(second.record(&wharf)["state"], "Queued");
    first.cancel(&wharf);
    second.wait_ready(&wharf);
    let _served = second.get("/").expect(200);
    wharf.finish();
}

#[test]
fn a_port_that_never_opens_keeps_saying_so() {
    let wharf = Wharf::start();
    let ports = vec![(8080, "private", ""), (9999, "private", "")];
    let service = wharf.launch(&Launch { ports, ..Launch::default() });
    let host = service.host_of(9999);
    for _again in 0..3 {
        let reply = wharf.request(&host, "GET", "/").bearer(wharf.token()).send().expect(503);
        assert!(reply.text().contains("9999"), "names the port: {}", reply.text());
    }
    assert_eq!(service.record(&wharf)["published_ports"]["9999"]["ready"], false);
    // Nothing else suffers.
    let _other = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn a_draft_is_no_service_yet() {
    let wharf = Wharf::start();
    let body = json!({"container_request": {"name": "draft", "service": true,
        "container_image": "testapp:latest", "command": ["true"], "output_path": "/out",
        "mounts": {"/out": {"kind": "tmp", "capacity": 1024}},
        "published_ports": {"80": {"access": "private", "label": "app"}}}});
    let made = wharf.api("POST", "/arvados/v1/container_requests", Some(&body)).expect(200).json();
    let host = wharf.host(&format!("{}-80", made["uuid"].as_str().expect("a uuid")));
    let reply = wharf.request(&host, "GET", "/").bearer(wharf.token()).send();
    assert!(matches!(reply.status(), 404 | 503), "{} {}", reply.status(), reply.text());
    wharf.finish();
}
