//! Files of collections by WebDAV, as litmus, a suite of the protocol's, sees them.

use std::process::Command;

use serde_json::json;
use testkit::Wharf;

/// Where files of collections differ from what it asks for.
const DIFFERENT: [&str; 2] = [
    // A warning: HTTP libraries drop a fragment, which no client may send, before anybody sees it.
    "DELETE removed collection resource with Request-URI including fragment",
    // Sets a property of its own, which is refused with 403 whoever holds the lock.
    "owner_modify.......... FAIL (PROPPATCH on locked resouce",
];

/// Properties that clients make up are kept by no manifest, so the suite `props` is not played.
#[test]
fn litmus_finds_the_protocol_as_it_should_be() {
    let wharf = Wharf::start();
    let body = json!({"collection": {"name": "litmus"}});
    let made = wharf.api("POST", "/arvados/v1/collections", Some(&body)).expect(200).json();
    let uuid = made["uuid"].as_str().expect("a uuid");
    let address = format!("http://{}/c={uuid}/", wharf.api_host());
    let output = Command::new("litmus")
        .args(["--keep-going", &address, "anybody", wharf.token()])
        .env("TESTS", "basic copymove locks http")
        .current_dir(wharf.home())
        .output()
        .expect("litmus is installed by `cargo xtask setup`");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("FAIL") || line.contains("WARNING"))
        .filter(|line| !DIFFERENT.iter().any(|different| line.contains(different)))
        .collect();
    assert!(said.contains("`locks'") && failed.is_empty(), "{failed:#?}\n{said}");
    wharf.finish();
}
