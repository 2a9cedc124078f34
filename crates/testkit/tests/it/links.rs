//! Links that give a published port a name.

use std::sync::Barrier;

use serde_json::{Value, json};
use testkit::{Launch, Wharf};

const LINKS: &str = "/arvados/v1/links";

fn link(class: &str, name: &str, head: &str) -> Value {
    json!({"link": {"link_class": class, "name": name, "head_uuid": head,
        "properties": {"port": 8080}}})
}

fn draft(wharf: &Wharf, token: &str) -> String {
    let body = json!({"container_request": {"name": "draft", "service": true,
        "container_image": "testapp:latest", "command": ["true"], "output_path": "/out",
        "mounts": {"/out": {"kind": "tmp", "capacity": 1024}},
        "published_ports": {"8080": {"access": "private", "label": "app"}}}});
    let made = wharf.api_as(token, "POST", "/arvados/v1/container_requests", Some(&body));
    made.expect(200).json()["uuid"].as_str().expect("a uuid").to_owned()
}

#[test]
fn t24_names_that_mislead_are_refused() {
    let wharf = Wharf::start();
    let head = draft(&wharf, wharf.token());
    let long = "a".repeat(64);
    let bad = [
        "",
        "-a",
        "a-",
        "a.b",
        "a_b",
        "a b",
        "ä",
        "xn--a",
        "www",
        "api",
        "login",
        "LOGIN",
        "wharf-xvhdp-0123456789abcde",
        "wharf-dz642-0123456789abcde-80",
        "zzzzz-xvhdp-abcdefghijklmno",
        &long,
    ];
    for name in bad {
        let reply = wharf.api("POST", LINKS, Some(&link("hostname", name, &head)));
        assert_eq!(reply.status(), 422, "{name:?}: {}", reply.text());
        let said = reply.json()["errors"][0].as_str().expect("an error in words").to_owned();
        assert!(said.contains("name"), "{name:?}: {said}");
    }
    let longest = "a".repeat(63);
    for name in ["a", "lab-1", "7up", &longest] {
        let _made = wharf.api("POST", LINKS, Some(&link("hostname", name, &head))).expect(200);
    }
    // Case is folded before the name is compared.
    let made = wharf.api("POST", LINKS, Some(&link("hostname", "MixedCase", &head))).expect(200);
    assert_eq!(made.json()["name"], "mixedcase");
    wharf.finish();
}

#[test]
fn one_name_space_for_both_classes_and_a_deleted_link_frees_its_name() {
    let wharf = Wharf::start();
    let head = draft(&wharf, wharf.token());
    let made = wharf.api("POST", LINKS, Some(&link("hostname", "lab", &head))).expect(200).json();
    for class in ["hostname", "published_port"] {
        let again = wharf.api("POST", LINKS, Some(&link(class, "lab", &head)));
        assert_eq!(again.status(), 422, "{class}: {}", again.text());
    }
    let path = format!("{LINKS}/{}", made["uuid"].as_str().expect("a uuid"));
    let _deleted = wharf.api("DELETE", &path, None).expect(200);
    let _made = wharf.api("POST", LINKS, Some(&link("published_port", "lab", &head))).expect(200);
    let request = format!("/arvados/v1/container_requests/{head}");
    let _deleted = wharf.api("DELETE", &request, None).expect(200);
    let head = draft(&wharf, wharf.token());
    let _made = wharf.api("POST", LINKS, Some(&link("hostname", "lab", &head))).expect(200);
    wharf.finish();
}

#[test]
fn a_link_to_what_is_not_yours_is_refused() {
    let wharf = Wharf::start();
    let (_, ada) = wharf.new_user("ada");
    let (_, bob) = wharf.new_user("bob");
    let head = draft(&wharf, &ada);
    let body = link("hostname", "adas", &head);
    let refused = wharf.api_as(&bob, "POST", LINKS, Some(&body));
    assert!(matches!(refused.status(), 403 | 404 | 422), "{}", refused.text());
    let _made = wharf.api_as(&ada, "POST", LINKS, Some(&body)).expect(200);
    let bad_port = json!({"link": {"link_class": "hostname", "name": "other", "head_uuid": head,
        "properties": {"port": 70_000}}});
    let refused = wharf.api_as(&ada, "POST", LINKS, Some(&bad_port)).expect(422);
    assert!(refused.text().contains("port"), "{}", refused.text());
    wharf.finish();
}

#[test]
fn t24_fifty_claims_of_a_name_at_once_have_one_winner() {
    const CLAIMS: usize = 50;
    let wharf = Wharf::start();
    let head = draft(&wharf, wharf.token());
    let barrier = Barrier::new(CLAIMS);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let claim = |number: usize| {
            let class = if number.is_multiple_of(2) { "hostname" } else { "published_port" };
            let body = link(class, "prize", &head);
            barrier.wait();
            wharf.api("POST", LINKS, Some(&body)).status()
        };
        let claims: Vec<_> = (0..CLAIMS).map(|number| scope.spawn(move || claim(number))).collect();
        claims.into_iter().map(|one| one.join().expect("no claim panics")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200, "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| *status == 422), "{statuses:?}");
    wharf.finish();
}

#[test]
fn a_hostname_leads_to_the_port_of_its_link() {
    let wharf = Wharf::start();
    let service = wharf.launch(&Launch::default());
    let made = wharf.api("POST", LINKS, Some(&link("hostname", "lab", &service.request)));
    let path = format!("{LINKS}/{}", made.expect(200).json()["uuid"].as_str().expect("a uuid"));
    for host in [wharf.host("lab"), wharf.host("LAB")] {
        let reply = wharf.request(&host, "GET", "/x").bearer(wharf.token()).send().expect(200);
        assert!(reply.text().starts_with("GET /x HTTP/1.1\r\n"), "{}", reply.text());
    }
    let _deleted = wharf.api("DELETE", &path, None).expect(200);
    let gone = wharf.request(&wharf.host("lab"), "GET", "/x").bearer(wharf.token()).send();
    let _gone = gone.expect(404);
    wharf.finish();
}
