//! Container requests and containers: the members of services, states, priorities.

use serde_json::{Value, json};
use testkit::{Launch, Wharf};

const REQUESTS: &str = "/arvados/v1/container_requests";

/// A draft that nothing runs for.
fn draft(more: &Value) -> Value {
    let mut request = json!({"name": "draft", "container_image": "testapp:latest",
        "command": ["true"], "cwd": "/", "output_path": "/out",
        "mounts": {"/out": {"kind": "tmp", "capacity": 1024}},
        "runtime_constraints": {"vcpus": 1, "ram": 67_108_864}});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    json!({"container_request": request})
}

#[test]
fn a_service_is_never_reused() {
    let wharf = Wharf::start();
    let made = wharf.api("POST", REQUESTS, Some(&draft(&json!({"service": true})))).expect(200);
    assert_eq!(made.json()["use_existing"], false);
    let both = json!({"service": true, "use_existing": true});
    let refused = wharf.api("POST", REQUESTS, Some(&draft(&both))).expect(422);
    assert!(refused.text().contains("use_existing"), "{}", refused.text());
    wharf.finish();
}

#[test]
fn published_ports_that_break_a_rule_are_refused_by_name() {
    let wharf = Wharf::start();
    let good = json!({"access": "private", "label": "app"});
    let bad = [
        (json!({"0": good}), "0"),
        (json!({"65536": good}), "65536"),
        (json!({"080": good}), "080"),
        (json!({"+80": good}), "+80"),
        (json!({"http": good}), "http"),
        (json!({"80": {"access": "secret", "label": "app"}}), "access"),
        (json!({"80": {"label": "app"}}), "access"),
        (json!({"80": {"access": "public"}}), "label"),
        (json!({"80": {"access": "public", "label": ""}}), "label"),
        (json!({"80": {"access": "public", "label": 7}}), "label"),
        (json!({"80": {"access": "public", "label": "a", "initial_path": 7}}), "initial_path"),
        (json!({"80": {"access": "public", "label": "a", "colour": "red"}}), "colour"),
        (json!({"80": "public"}), "80"),
        (json!(["80"]), "published_ports"),
    ];
    for (ports, named) in bad {
        let body = draft(&json!({"service": true, "published_ports": ports}));
        let reply = wharf.api("POST", REQUESTS, Some(&body));
        assert_eq!(reply.status(), 422, "{ports}: {}", reply.text());
        let said = reply.json()["errors"][0].as_str().expect("an error in words").to_owned();
        assert!(said.contains(named), "{ports}: {said}");
    }
    let fine = json!({"1": good, "65535": {"access": "public", "label": "x",
        "initial_path": "a/b?c=d#e"}});
    let body = draft(&json!({"service": true, "published_ports": fine}));
    let made = wharf.api("POST", REQUESTS, Some(&body)).expect(200).json();
    assert_eq!(made["published_ports"]["65535"]["initial_path"], "a/b?c=d#e");
    assert_eq!(made["published_ports"]["1"]["initial_path"], "");
    wharf.finish();
}

#[test]
fn published_ports_and_service_are_fixed_once_committed() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let service = wharf.submit(&Launch::default());
    let path = format!("{REQUESTS}/{}", service.request);
    for change in [json!({"published_ports": {}}), json!({"service": false})] {
        let reply = wharf.api("PUT", &path, Some(&json!({"container_request": change})));
        assert!(matches!(reply.status(), 403 | 422), "{change}: {}", reply.status());
    }
    wharf.finish();
}

#[test]
fn a_running_container_says_where_its_ports_are() {
    let wharf = Wharf::start();
    let ports = vec![(8080, "private", "lab?x=1#top"), (9000, "public", "")];
    let service = wharf.launch(&Launch { ports, ..Launch::default() });
    let record = service.record(&wharf);
    let port = &record["published_ports"]["8080"];
    let base = port["base_url"].as_str().expect("a running port has a base_url");
    assert_eq!(port["initial_url"], format!("{base}lab?x=1#top"));
    assert!(base.starts_with("http://") && base.ends_with('/'), "{base}");
    assert_eq!(port["external_port"], Value::Null);
    assert_eq!(port["ready"], true);
    assert!(port["ready_at"].is_string(), "{port}");
    assert_eq!(record["published_ports"]["9000"]["ready"], false);
    assert_eq!(record["service"], true);
    // The base is a real address: the app answers there.
    let host = base.trim_start_matches("http://").trim_end_matches('/');
    let _page = wharf.request(host, "GET", "/").bearer(wharf.token()).send().expect(200);
    // The request's own copy stays as it was asked for.
    let asked = service.request_record(&wharf);
    assert!(asked["published_ports"]["8080"].get("base_url").is_none(), "{asked}");
    wharf.finish();
}

#[test]
fn a_request_goes_through_the_states_of_arvados() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let made = wharf.api("POST", REQUESTS, Some(&draft(&json!({})))).expect(200).json();
    assert_eq!((&made["state"], &made["container_uuid"]), (&json!("Uncommitted"), &Value::Null));
    let path = format!("{REQUESTS}/{}", made["uuid"].as_str().expect("a uuid"));
    let commit = json!({"container_request": {"state": "Committed", "priority": 1}});
    let committed = wharf.api("PUT", &path, Some(&commit)).expect(200).json();
    assert_eq!(committed["state"], "Committed");
    let container = committed["container_uuid"].as_str().expect("a container").to_owned();
    let record = testkit::wait_for_some("the command to end", testkit::BOUND, || {
        let path = format!("/arvados/v1/containers/{container}");
        let record = wharf.api("GET", &path, None).expect(200).json();
        (record["state"] == "Complete").then_some(record)
    });
    assert_eq!((&record["exit_code"], record["finished_at"].is_string()), (&json!(0), true));
    let ended = wharf.api("GET", &path, None).expect(200).json();
    assert_eq!(ended["state"], "Final");
    let back = json!({"container_request": {"state": "Uncommitted"}});
    let reply = wharf.api("PUT", &path, Some(&back));
    assert!(matches!(reply.status(), 403 | 422), "{}", reply.text());
    wharf.finish();
}

#[test]
fn priority_zero_cancels() {
    let wharf = Wharf::start();
    let service = wharf.app();
    service.cancel(&wharf);
    let record = service.wait_over(&wharf);
    assert_eq!(record["state"], "Cancelled");
    testkit::wait_for("the request to be final", testkit::BOUND, || {
        service.request_record(&wharf)["state"] == "Final"
    });
    assert!(testkit::leaks::containers_of(&wharf.data()).contains(&service.container));
    wharf.finish();
}

#[test]
fn records_survive_a_kill_right_after_the_answer() {
    let mut wharf = Wharf::start();
    let mut made = Vec::new();
    for number in 0..20 {
        let body = draft(&json!({"name": format!("kept {number}")}));
        made.push(wharf.api("POST", REQUESTS, Some(&body)).expect(200).json()["uuid"].clone());
    }
    wharf.kill_controller();
    let _time = wharf.restart_controller();
    for uuid in made {
        let path = format!("{REQUESTS}/{}", uuid.as_str().expect("a uuid"));
        let _kept = wharf.api("GET", &path, None).expect(200);
    }
    wharf.finish();
}
