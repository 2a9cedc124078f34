//! A machine that takes no new containers.

use serde_json::{Value, json};
use testkit::{Wharf, wait_for};

/// Submits the test server as a service; whether it comes to run is looked at later.
fn submit(wharf: &Wharf, name: &str) {
    let words = ["run", "--name", name, "--publish", "8080:private:App", "--image", "testapp"];
    let _said = wharf.cli(&[&words[..], &["--", "testkit-app"]].concat()).expect(0);
}

/// The container of the request with this name.
fn container(wharf: &Wharf, name: &str) -> Value {
    let said = wharf.cli(&["show", name, "--json"]).expect(0).stdout;
    serde_json::from_str::<Value>(&said).expect("JSON")["container"].clone()
}

fn is_ready(wharf: &Wharf, name: &str) -> bool {
    container(wharf, name)["published_ports"]["8080"]["ready"] == json!(true)
}

/// What the queue says of the one container that waits.
fn reason(wharf: &Wharf) -> String {
    let status = wharf.api("GET", "/wharf/v1/status", None).json();
    status["queue"][0]["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_cordoned_machine_starts_nothing_also_after_a_restart_and_what_runs_goes_on() {
    let mut wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    submit(&wharf, "before");
    wait_for("the first service", testkit::BOUND, || is_ready(&wharf, "before"));
    let listed = wharf.cli(&["node", "list", "--json"]).expect(0).stdout;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let node = listed[0]["name"].as_str().expect("a name").to_owned();
    let wrong = wharf.cli(&["node", "cordon", "no-such-machine"]).expect(1);
    assert!(wrong.stderr.contains(&node), "{}", wrong.stderr);
    let (_user, ada) = wharf.new_user("ada");
    let path = format!("/wharf/v1/nodes/{node}/cordon");
    for method in ["POST", "DELETE"] {
        assert_eq!(wharf.api_as(&ada, method, &path, None).status(), 403, "{method}");
    }

    let said = wharf.cli(&["node", "cordon", &node]).expect(0).stderr;
    assert!(said.contains("takes no new containers since"), "{said}");
    submit(&wharf, "after");
    let is_told = |wharf: &Wharf| {
        let words = reason(wharf);
        words.contains(&node) && words.contains("cordoned")
    };
    wait_for("the reason", testkit::BOUND, || is_told(&wharf));
    assert_eq!(container(&wharf, "after")["state"], "Queued");
    assert!(wharf.stop_controller().success());
    let _took = wharf.restart_controller();
    assert!(wharf.cli(&["node", "list"]).expect(0).stdout.contains("cordoned since"));
    // Another one, so that it is seen that the new dispatcher has looked.
    submit(&wharf, "later");
    wait_for("both to wait for the same reason", testkit::BOUND, || {
        let status = wharf.api("GET", "/wharf/v1/status", None).json();
        let queue = status["queue"].as_array().expect("a list").clone();
        queue.len() == 2
            && queue.iter().all(|it| it["reason"].as_str().is_some_and(|it| it.contains(&node)))
    });
    assert!(is_ready(&wharf, "before"), "what runs goes on");

    let _said = wharf.cli(&["node", "uncordon", &node]).expect(0);
    for name in ["after", "later"] {
        wait_for("what waited to run", testkit::BOUND, || is_ready(&wharf, name));
    }
    let again = wharf.cli(&["node", "uncordon", &node]).expect(0).stderr;
    assert!(again.contains("was not cordoned"), "{again}");
    let query = "/arvados/v1/logs?filters=[[\"event_type\",\"in\",[\"cordon\",\"uncordon\"]]]&order=[\"id\"]"
        .replace('[', "%5B").replace(']', "%5D").replace('"', "%22");
    let entries = wharf.api("GET", &query, None).json();
    let words: Vec<_> = entries["items"].as_array().expect("a list").iter().collect();
    assert_eq!(words.len(), 2, "{entries}");
    assert_eq!(words[0]["properties"]["node"], json!(node));
    wharf.finish();
}
