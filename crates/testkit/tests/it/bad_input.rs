//! Wrong words on the command line and in API calls: a clear error that names the field.

use serde_json::{Value, json};
use testkit::Wharf;

/// A refusal of the API: its status and its words.
fn refusal(wharf: &Wharf, method: &str, path: &str, body: &Value) -> (u16, String) {
    let reply = wharf.api(method, path, Some(body));
    let said = reply.json()["errors"][0].as_str().unwrap_or_default().to_owned();
    (reply.status(), said)
}

#[test]
fn the_api_names_the_field_that_is_wrong() {
    let wharf = Wharf::start();
    let requests = "/arvados/v1/container_requests";
    let committed = |more: Value| {
        let mut request = json!({"name": "x", "state": "Committed", "priority": 1,
            "container_image": "busybox:latest", "command": ["true"], "cwd": "/",
            "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1}},
            "runtime_constraints": {"vcpus": 1, "ram": 1_000_000}});
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        json!({"container_request": request})
    };
    let cases = [
        (json!({"colour": "red"}), "colour"),
        (json!({"priority": 1001}), "priority"),
        (json!({"priority": -1}), "priority"),
        (json!({"priority": "high"}), "priority"),
        (json!({"state": "Sleeping"}), "state"),
        (json!({"state": "Final"}), "state"),
        (json!({"command": "true"}), "command"),
        (json!({"command": [1]}), "command"),
        (json!({"container_image": ""}), "container_image"),
        (json!({"container_image": 7}), "container_image"),
        (json!({"runtime_constraints": {"vcpus": 0, "ram": 1}}), "vcpus"),
        (json!({"runtime_constraints": {"vcpus": 1, "ram": 0}}), "ram"),
        (json!({"runtime_constraints": {"vcpus": 1, "ram": 1, "cores": 2}}), "cores"),
        (json!({"mounts": {"out": {"kind": "tmp"}}}), "mounts"),
        (json!({"mounts": {"/out": {"kind": "cloud"}}}), "mounts"),
        (json!({"service": "yes"}), "service"),
        (json!({"environment": {"A": 1}}), "environment"),
        (json!({"environment": ["A=1"]}), "environment"),
    ];
    for (more, field) in cases {
        let (status, said) = refusal(&wharf, "POST", requests, &committed(more.clone()));
        assert_eq!(status, 422, "{more}: {said}");
        assert!(said.contains(field), "{more}: {said}");
    }
    let (status, said) = refusal(&wharf, "POST", requests, &json!([1, 2]));
    assert!(matches!(status, 400 | 422) && !said.is_empty(), "{status} {said}");
    let reply = wharf.request(&wharf.api_host(), "POST", requests).bearer(wharf.token());
    let reply = reply.header("Content-Type", "application/json").body("{\"a\":").send();
    assert!(matches!(reply.status(), 400 | 422), "{}", reply.status());
    assert!(reply.json()["errors"][0].is_string(), "{}", reply.text());
    wharf.finish();
}

#[test]
fn the_api_says_what_is_not_there_and_who_may_not() {
    let wharf = Wharf::start();
    let get = |path: &str| wharf.api("GET", path, None);
    let missing = get("/arvados/v1/container_requests/wharf-xvhdp-000000000000000").expect(404);
    assert!(missing.json()["errors"][0].is_string());
    let _wrong_kind = get("/arvados/v1/container_requests/wharf-dz642-000000000000000").expect(404);
    let _no_uuid = get("/arvados/v1/container_requests/abc").expect(404);
    let nowhere = get("/arvados/v1/nonsense").expect(404);
    assert!(nowhere.json()["errors"][0].is_string());
    for filters in
        ["[[\"colour\",\"=\",\"red\"]]", "[[\"state\",\"~~\",\"x\"]]", "{", "[1]", "[[\"state\"]]"]
    {
        let encoded: String = filters.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let reply = get(&format!("/arvados/v1/container_requests?filters={encoded}"));
        assert!(matches!(reply.status(), 400 | 422), "{filters}: {}", reply.text());
        assert!(reply.json()["errors"][0].is_string(), "{filters}");
    }
    for query in ["limit=-1", "limit=x", "offset=-1", "order=colour", "select=%5B%22colour%22%5D"] {
        let reply = get(&format!("/arvados/v1/container_requests?{query}"));
        assert!(
            matches!(reply.status(), 400 | 422),
            "{query}: {} {}",
            reply.status(),
            reply.text()
        );
    }
    let nobody = wharf.request(&wharf.api_host(), "GET", "/arvados/v1/users/current").send();
    assert!(nobody.expect(401).json()["errors"][0].is_string());
    let wrong =
        wharf.api_as("v2/wharf-gj3su-000000000000000/x", "GET", "/arvados/v1/users/current", None);
    let _wrong = wrong.expect(401);
    let (_, ada) = wharf.new_user("ada");
    let users = wharf.api_as(&ada, "POST", "/arvados/v1/users", Some(&json!({"user": {}})));
    assert_eq!(users.status(), 403, "{}", users.text());
    wharf.finish();
}

#[test]
fn every_command_says_what_is_wrong_and_what_to_do() {
    let wharf = Wharf::start();
    let usage: [&[&str]; 13] = [
        &["fly"],
        &["run", "--publish", "0", "--image", "busybox", "--", "true"],
        &["run", "--publish", "70000", "--image", "busybox", "--", "true"],
        &["run", "--ram", "lots", "--image", "busybox", "--", "true"],
        &["run", "--cpus", "-1", "--image", "busybox", "--", "true"],
        &["run", "--env", "=x", "--image", "busybox", "--", "true"],
        &["run", "--mount", "nowhere", "--image", "busybox", "--", "true"],
        &["up", "--listen", "nowhere"],
        &["image", "import"],
        &["logs"],
        &["hostname", "set", "lab"],
        &["stop"],
        &["ps", "--colour"],
    ];
    for arguments in usage {
        let done = wharf.cli(arguments);
        assert_eq!(done.code, Some(2), "{arguments:?}: {} {}", done.stdout, done.stderr);
        assert!(!done.stderr.trim().is_empty(), "{arguments:?}");
        assert!(!done.stderr.contains("panicked"), "{arguments:?}: {}", done.stderr);
    }
    let failing: [(&[&str], &str); 9] = [
        (&["show", "no-such-thing"], "no-such-thing"),
        (&["logs", "no-such-thing"], "no-such-thing"),
        (&["stop", "no-such-thing"], "no-such-thing"),
        (&["url", "no-such-thing"], "no-such-thing"),
        (&["run", "--image", "nowhere:1", "--publish", "80", "--", "true"], "nowhere:1"),
        (&["image", "import", "/no/such/file.tar"], "/no/such/file.tar"),
        (&["image", "import", "/etc/passwd"], "/etc/passwd"),
        (&["image", "rm", "nothing:1"], "nothing:1"),
        (&["hostname", "rm", "nothing"], "nothing"),
    ];
    for (arguments, named) in failing {
        let done = wharf.cli(arguments);
        assert_eq!(done.code, Some(1), "{arguments:?}: {} {}", done.stdout, done.stderr);
        assert!(done.stderr.contains(named), "{arguments:?}: {}", done.stderr);
        assert_eq!(done.stderr.trim().lines().count(), 1, "one line: {}", done.stderr);
    }
    wharf.finish();
}

#[test]
fn a_config_file_with_mistakes_is_refused_with_all_of_them() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join("config.yml");
    let text = "Containers: {StopGrace: soon, MaxContainres: 3}\nListen: nowhere\n";
    std::fs::write(&file, text).expect("a config file");
    let output = std::process::Command::new(testkit::images::wharf_binary())
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(home.path().join("data"))
        .arg("--config")
        .arg(&file)
        .output()
        .expect("wharf runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
    for word in ["Containers.StopGrace", "MaxContainres", "MaxContainers", "Listen", "config.yml"] {
        assert!(said.contains(word), "{word} in: {said}");
    }
}

#[test]
fn clients_without_a_server_say_how_to_get_one() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let run = |environment: &[(&str, &str)]| {
        let output = std::process::Command::new(testkit::images::wharf_binary())
            .args(["ps"])
            .env_clear()
            .env("HOME", home.path())
            .env("WHARF_DATA", home.path().join("none"))
            .envs(environment.iter().copied())
            .output()
            .expect("wharf runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run(&[]);
    assert!(said.contains("wharf up"), "{said}");
    let token = format!("v2/wharf-gj3su-000000000000000/{}", "a".repeat(50));
    let said = run(&[("ARVADOS_API_HOST", "127.0.0.1:1"), ("ARVADOS_API_TOKEN", &token)]);
    assert!(said.contains("127.0.0.1:1"), "{said}");
}
