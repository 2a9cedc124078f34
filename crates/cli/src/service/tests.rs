use serde_json::{Value, json};

use super::*;

const TIME: &str = "2026-11-23T20:00:00.000000000Z";
pub(crate) const REQUEST: &str = "wharf-xvhdp-0123456789abcde";
const CONTAINER: &str = "wharf-dz642-0123456789abcde";
const USER: &str = "wharf-tpzed-0123456789abcde";

fn with(mut record: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        record[key] = value.clone();
    }
    record
}

/// A committed request; `more` overwrites members.
pub(crate) fn request(more: &Value) -> ContainerRequest {
    let record = json!({
        "uuid": REQUEST, "owner_uuid": USER, "created_at": TIME, "modified_at": TIME,
        "modified_by_user_uuid": USER, "name": "lab", "description": null, "properties": {},
        "state": "Committed", "requesting_container_uuid": null, "container_uuid": CONTAINER,
        "container_count": 1, "container_count_max": 3, "mounts": {}, "runtime_constraints": {},
        "scheduling_parameters": {}, "container_image": "i", "environment": {}, "cwd": ".",
        "command": ["x"], "output_path": "/out", "output_glob": [], "output_name": null,
        "output_ttl": 0, "priority": 500, "use_existing": false, "log_uuid": null,
        "output_uuid": null, "expires_at": null, "filters": null, "output_storage_classes": [],
        "output_properties": {}, "cumulative_cost": 0.0, "service": true, "published_ports": {},
    });
    serde_json::from_value(with(record, more)).unwrap()
}

/// A container of that request; `more` overwrites members.
pub(crate) fn container(more: &Value) -> Container {
    let record = json!({
        "uuid": CONTAINER, "owner_uuid": USER, "created_at": TIME, "modified_at": TIME,
        "modified_by_user_uuid": USER, "state": "Running", "command": [], "container_image": "i",
        "cwd": ".", "environment": {}, "exit_code": null, "started_at": TIME,
        "finished_at": null, "locked_by_uuid": null, "lock_count": 1, "log": null,
        "output": null, "mounts": {}, "output_path": "", "output_glob": [], "priority": 1,
        "progress": null, "runtime_constraints": {}, "runtime_status": {},
        "scheduling_parameters": {}, "auth_uuid": null, "runtime_user_uuid": null,
        "runtime_auth_scopes": [], "gateway_address": null,
        "interactive_session_started": false, "output_storage_classes": [],
        "output_properties": {}, "cost": 0.0, "subrequests_cost": 0.0, "service": true,
        "published_ports": {},
    });
    serde_json::from_value(with(record, more)).unwrap()
}

/// A host name for a port of that request.
pub(crate) fn hostname(name: &str, port: u16) -> Link {
    serde_json::from_value(json!({
        "uuid": "wharf-o0j2j-0123456789abcde", "owner_uuid": USER, "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "link_class": "hostname",
        "name": name, "tail_uuid": null, "head_uuid": REQUEST, "properties": { "port": port },
    }))
    .unwrap()
}

pub(crate) fn service(request_more: &Value, container_more: Option<&Value>) -> Service {
    Service {
        request: request(request_more),
        container: container_more.map(container),
        hostnames: Vec::new(),
    }
}

#[test]
fn every_state_has_a_word() {
    let check = |request: Value, container: Option<Value>, words: &str, alive: bool| {
        let service = service(&request, container.as_ref());
        assert_eq!((service.state_words().as_str(), service.is_alive()), (words, alive));
    };
    let ports = |ready: bool| json!({"80": {"access": "public", "label": "x", "ready": ready}});
    check(json!({"state": "Uncommitted"}), None, "draft", false);
    check(json!({}), None, "queued", true);
    check(json!({}), Some(json!({"state": "Queued"})), "queued", true);
    check(json!({}), Some(json!({"state": "Locked"})), "starting", true);
    check(json!({}), Some(json!({"published_ports": ports(false)})), "starting", true);
    check(json!({}), Some(json!({"published_ports": ports(true)})), "running", true);
    check(json!({}), Some(json!({})), "running", true);
    check(json!({"priority": 0}), Some(json!({})), "stopping", true);
    let over = |state: &str, code: Value| json!({"state": state, "exit_code": code});
    let last = json!({"state": "Final"});
    check(last.clone(), Some(over("Complete", json!(0))), "done", false);
    check(last.clone(), Some(over("Complete", json!(3))), "exit 3", false);
    check(last.clone(), Some(over("Cancelled", json!(null))), "stopped", false);
    let failed = json!({"state": "Cancelled", "runtime_status": {"error": "no such program"}});
    check(last.clone(), Some(failed.clone()), "failed", false);
    check(json!({"state": "Final", "priority": 0}), Some(failed), "stopped", false);
}

#[test]
fn addresses_go_by_host_name_then_by_identifier() {
    let ports = json!({
        "80": {"access": "public", "label": "web", "initial_path": "/a?b#c"},
        "81": {"access": "private", "label": "other"},
    });
    let mut service = service(&json!({"published_ports": ports}), None);
    let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
    let (http, other) = (ContainerPort::HTTP, ContainerPort::new(81).unwrap());
    service.hostnames.push(hostname("lab", 80));
    assert_eq!(
        service.url(http, Some(&domain)).unwrap(),
        "http://lab.containers.localhost:8000/a?b#c"
    );
    assert_eq!(
        service.url(other, Some(&domain)).unwrap(),
        format!("http://{REQUEST}-81.containers.localhost:8000/")
    );
    assert_eq!(service.default_port(), Some(http));
}

#[test]
fn without_a_wildcard_the_address_comes_with_the_container() {
    let mut service =
        service(&json!({"published_ports": {"81": {"access": "public", "label": "x"}}}), None);
    let domain = ServiceDomain::parse("https://h.example/").unwrap();
    let port = service.default_port().unwrap();
    assert_eq!(service.url(port, Some(&domain)), None);
    let entry = json!({"access": "public", "label": "x", "initial_url": "https://h.example:2000/"});
    service.container = Some(container(&json!({"published_ports": {"81": entry}})));
    assert_eq!(service.url(port, Some(&domain)).unwrap(), "https://h.example:2000/");
}
