use serde_json::json;

use super::*;
use crate::service::tests::{hostname, service};

fn domain() -> ServiceDomain {
    ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn ages_are_in_the_unit_that_matters() {
    let then = at("2026-11-23T20:00:00Z");
    let check = |now: &str, shown: &str| assert_eq!(age(then, at(now)), shown);
    check("2026-11-23T19:59:00Z", "0s");
    check("2026-11-23T20:01:59Z", "119s");
    check("2026-11-23T20:02:00Z", "2m");
    check("2026-11-23T21:59:00Z", "119m");
    check("2026-11-23T22:00:00Z", "2h");
    check("2026-12-01T20:00:00Z", "8d");
}

#[test]
fn each_port_has_a_line_and_each_service_is_said_once() {
    let ports = json!({
        "80": {"access": "public", "label": "web"},
        "8888": {"access": "private", "label": "A label that is longer than a column"},
    });
    let mut lab = service(&json!({"published_ports": ports}), Some(&json!({})));
    lab.hostnames = vec![hostname("lab", 80)];
    let long =
        json!({"name": "a name that goes on and on and on", "uuid": "wharf-xvhdp-bbbbbbbbbbbbbbb"});
    let batch = service(&long, None);
    let shown = table(&[lab, batch], Some(&domain()), at("2026-11-23T20:03:00Z")).render(None);
    let expected = "\
ID               NAME                      STATE    AGE  PORT  LABEL                 URL
0123456789abcde  lab                       running  3m   80    web                   http://lab.containers.localhost:8000/
                                                         8888  A label that is lon…  http://wharf-xvhdp-0123456789abcde-8888.containers.localhost:8000/
bbbbbbbbbbbbbbb  a name that goes on and…  queued   3m
";
    assert_eq!(shown, expected);
}

#[test]
fn json_has_everything_by_name() {
    let ports = json!({"80": {"access": "public", "label": "web"}});
    let record = record(&service(&json!({"published_ports": ports}), None), Some(&domain()));
    assert_eq!(record["status"], "queued");
    let url = "http://wharf-xvhdp-0123456789abcde-80.containers.localhost:8000/";
    assert_eq!(record["urls"]["80"], url);
    assert_eq!(record["container_request"]["name"], "lab");
    assert_eq!(record["container"], json!(null));
}
