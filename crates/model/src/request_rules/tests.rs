#![allow(clippy::needless_pass_by_value, reason = "literals read best by value")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn origin() -> Origin {
    Origin {
        uuid: RequestUuid::parse("wharf-xvhdp-000000000000000").unwrap(),
        by: UserUuid::parse("wharf-tpzed-000000000000000").unwrap(),
        at: "2026-11-23T20:58:45Z".parse().unwrap(),
    }
}

fn object(value: Value) -> JsonMap {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

/// A request that could be committed, with these attributes over it.
fn attributes(over: Value) -> JsonMap {
    let mut all = object(json!({
        "command": ["true"], "container_image": "demo", "output_path": "/out",
        "mounts": {"/out": {"kind": "tmp", "capacity": 1}},
        "runtime_constraints": {"ram": 1, "vcpus": 1},
    }));
    all.extend(object(over));
    all
}

fn new(over: Value) -> Result<ContainerRequest, Vec<FieldError>> {
    new_request(&attributes(over), &origin())
}

fn anywhere() -> BindPolicy<'static> {
    static ROOT: std::sync::LazyLock<Vec<std::path::PathBuf>> =
        std::sync::LazyLock::new(|| vec!["/".into()]);
    BindPolicy::Below(&ROOT)
}

fn words(problems: Vec<FieldError>) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_is_left_out_is_as_arvados_has_it() {
    let request = new(json!({})).unwrap();
    let mut wire = object(serde_json::to_value(&request).unwrap());
    for sent in attributes(json!({})).keys() {
        wire.remove(sent);
    }
    let expected = json!({
        "uuid": "wharf-xvhdp-000000000000000", "owner_uuid": "wharf-tpzed-000000000000000",
        "created_at": "2026-11-23T20:58:45.000000000Z", "modified_at": "2026-11-23T20:58:45.000000000Z",
        "modified_by_user_uuid": "wharf-tpzed-000000000000000", "name": "", "description": null,
        "properties": {}, "state": "Uncommitted", "requesting_container_uuid": null,
        "container_uuid": null, "container_count": 0, "container_count_max": 3,
        "scheduling_parameters":
            {"max_run_time": 0, "partitions": [], "preemptible": false, "supervisor": false},
        "environment": {}, "cwd": ".", "output_glob": [], "output_name": null, "output_ttl": 0,
        "priority": 0, "use_existing": true, "log_uuid": null, "output_uuid": null,
        "expires_at": null, "filters": null, "output_storage_classes": ["default"],
        "output_properties": {}, "cumulative_cost": 0.0, "service": false, "published_ports": {},
    });
    assert_eq!(Value::from(wire), expected);
}

#[test]
fn what_an_arvados_runner_sends_for_a_service_is_accepted() {
    let sent = json!({
        "name": "notebook", "priority": 500, "cwd": "/var/spool/cwl", "output_path": "/var/spool/cwl",
        "environment": {"TMPDIR": "/tmp", "HOME": "/var/spool/cwl"}, "properties": {"cwl_input": {}},
        "mounts": {"/var/spool/cwl": {"kind": "tmp", "capacity": 1}, "/tmp": {"kind": "tmp", "capacity": 1}},
        "secret_mounts": {}, "output_name": "out", "output_ttl": 0, "output_storage_classes": ["default"],
        "runtime_constraints": {"vcpus": 1, "ram": 268435456, "API": true},
        "scheduling_parameters": {}, "service": true, "use_existing": false, "output_glob": ["**"],
        "published_ports": {"80": {"access": "private", "initial_path": "", "label": "x"}},
        "state": "Committed",
    });
    let request = new(sent).unwrap();
    check_commit(&request, BindPolicy::Refused("no")).unwrap();
    assert!(request.service && !request.use_existing && request.runtime_constraints.api);
}

#[test]
fn a_service_says_that_it_is_never_shared() {
    assert!(!new(json!({"service": true})).unwrap().use_existing);
    assert!(!new(json!({"service": true, "use_existing": null})).unwrap().use_existing);
    assert!(new(json!({"service": false})).unwrap().use_existing);
    let problem = words(new(json!({"service": true, "use_existing": true})).unwrap_err());
    assert!(problem.starts_with("use_existing must be false where service is true"), "{problem}");
    let draft = new(json!({})).unwrap();
    let service = change_request(&draft, &object(json!({"service": true}))).unwrap();
    assert!(!service.use_existing);
    let back = change_request(&service, &object(json!({"use_existing": true})));
    assert!(words(back.unwrap_err()).contains("use_existing"));
}

#[test]
fn numbers_come_as_text_and_nulls_mean_the_default() {
    let request = new(json!({
        "priority": "7", "output_ttl": 3.0, "container_count_max": "5", "name": null, "properties": null,
        "environment": null, "runtime_constraints": {"ram": "10", "vcpus": 2.0, "gpu": null},
        "published_ports": null, "output_storage_classes": [], "owner_uuid": null, "description": "",
    }))
    .unwrap();
    assert_eq!((request.priority, request.output_ttl, request.container_count_max), (7, 3, 5));
    assert_eq!((request.runtime_constraints.ram, request.runtime_constraints.vcpus), (10, 2));
    assert_eq!(request.output_storage_classes, ["default"]);
    assert_eq!((request.owner_uuid.as_str(), request.description), (origin().by.as_str(), None));
}

#[test]
fn connections_lead_from_loopback_to_a_port_of_a_container() {
    let container = "wharf-dz642-aaaaaaaaaaaaaaa";
    let with = |connect: Value| new(json!({"runtime_constraints": {"connect": connect}}));
    let to = |port: Value| json!({"container": container, "port": port});
    let request = with(json!({"127.1.0.1:80": to(json!("8080"))})).unwrap();
    let (address, found) = request.runtime_constraints.connect.first_key_value().unwrap();
    assert_eq!((address.to_string().as_str(), found.port.get()), ("127.1.0.1:80", 8080));
    assert_eq!(found.container.as_str(), container);
    let many: JsonMap = (0..65).map(|n| (format!("127.1.0.{n}:80"), to(json!(80)))).collect();
    for (wrong, what) in [
        (json!({"10.0.0.1:80": to(json!(80))}), "loopback"),
        (json!({"127.0.0.1:0": to(json!(80))}), "loopback"),
        (json!({"[::1]:80": to(json!(80))}), "loopback"),
        (json!({"127.0.0.1:80": to(json!(0))}), "a port of it"),
        (json!({"127.0.0.1:80": {"container": "x", "port": 80}}), "by its UUID"),
        (json!({"127.0.0.1:80": {"container": container, "port": 80, "host": "x"}}), "host"),
        (json!({"127.0.0.1:80": "x"}), "must be"),
        (json!(["127.0.0.1:80"]), "an object"),
        (Value::Object(many), "at most 64"),
    ] {
        let words = words(with(wrong.clone()).unwrap_err());
        assert!(words.contains("connect") && words.contains(what), "{wrong}: {words}");
    }
    let plain = serde_json::to_value(new(json!({})).unwrap()).unwrap();
    assert_eq!(plain["runtime_constraints"].get("connect"), None, "left out where there are none");
}

#[test]
fn each_state_lets_change_what_it_should() {
    let draft = new(json!({})).unwrap();
    let committed = ContainerRequest { state: RequestState::Committed, ..draft.clone() };
    let finished = ContainerRequest { state: RequestState::Final, ..draft.clone() };
    let changes = [
        (json!({"name": "x", "description": "y", "properties": {"a": 1}}), true, true, true),
        (json!({"owner_uuid": "wharf-tpzed-000000000000001"}), true, true, true),
        (json!({"priority": 5}), true, true, false),
        (json!({"container_count_max": 9}), true, true, false),
        (json!({"expires_at": "2099-01-01T00:00:00Z"}), true, true, false),
        (json!({"command": ["x"]}), true, false, false),
        (json!({"container_image": "x"}), true, false, false),
        (json!({"published_ports": {"1": {"access": "public", "label": "x"}}}), true, false, false),
        (json!({"service": true}), true, false, false),
        (json!({"environment": {"A": "b"}}), true, false, false),
        (json!({"runtime_constraints": {"ram": 2, "vcpus": 1}}), true, false, false),
        (json!({"secret_mounts": {"/s": {"kind": "text", "content": "x"}}}), true, false, false),
        // No change at all: the same, blank for null, zeroes filled in.
        (
            json!({"command": ["true"], "output_name": "", "uuid": "other", "priority": "0"}),
            true,
            true,
            true,
        ),
        (
            json!({"mounts": {"/out": {"kind": "tmp", "capacity": 1, "path": "", "writable": false}}}),
            true,
            true,
            true,
        ),
    ];
    for (change, in_draft, in_committed, in_final) in changes {
        let change = object(change);
        for (before, allowed) in
            [(&draft, in_draft), (&committed, in_committed), (&finished, in_final)]
        {
            let after = change_request(before, &change);
            assert_eq!(after.is_ok(), allowed, "{:?} {change:?}: {after:?}", before.state);
        }
    }
}

#[test]
fn states_go_forward_and_only_we_finish() {
    let draft = new(json!({})).unwrap();
    let go = |from: RequestState, to: &str| {
        let before = ContainerRequest { state: from, ..draft.clone() };
        change_request(&before, &object(json!({"state": to}))).map(|_| ()).map_err(words)
    };
    use RequestState::{Committed, Final, Uncommitted};
    assert_eq!(go(Uncommitted, "Committed"), Ok(()));
    assert_eq!(go(Final, "Final"), Ok(()));
    for (from, to, expected) in [
        (Uncommitted, "Final", "state cannot go from Uncommitted to Final"),
        (Committed, "Uncommitted", "state cannot go from Committed to Uncommitted"),
        (Final, "Committed", "state cannot go from Final to Committed"),
        (Committed, "Final", "set priority to 0"),
    ] {
        let problem = go(from, to).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn mounts_are_checked_for_form_in_any_state() {
    for (mounts, words_expected) in [
        (json!({"out": {"kind": "tmp"}}), "must be an absolute path"),
        (json!({"/a/..": {"kind": "tmp"}}), "must be an absolute path"),
        (json!({"/out": "tmp"}), "mounts[\"/out\"] must be an object"),
        (json!({"/out": {}}), "mounts[\"/out\"].kind must be one of"),
        (json!({"/out": {"kind": "git_tree"}}), ".kind must be one of"),
        (
            json!({"/out": {"kind": "tmp", "content": "x"}}),
            ".content is no field of a mount of kind tmp",
        ),
        (json!({"/out": {"kind": "tmp", "capacity": "big"}}), ".capacity must be a number"),
        (json!({"/t": {"kind": "text", "content": 1}}), ".content must be text"),
        (json!({"/j": {"kind": "json"}}), ".content must be there"),
        (json!({"/b": {"kind": "bind"}}), ".path must be an absolute path of the host"),
        (
            json!({"/b": {"kind": "bind", "path": "srv"}}),
            ".path must be an absolute path of the host",
        ),
        (
            json!({"/b": {"kind": "bind", "path": "/srv/../etc"}}),
            ".path must be an absolute path of the host",
        ),
        (
            json!({"/b": {"kind": "bind", "path": "/srv", "writable": "yes"}}),
            ".writable must be true or false",
        ),
        (json!({"stdin": {"kind": "bind", "path": "/srv"}}), "is a stream"),
    ] {
        let problem = words(new(json!({"mounts": mounts})).unwrap_err());
        assert!(problem.contains(words_expected), "{mounts}: {problem}");
    }
    let both = json!({"secret_mounts": {"/out": {"kind": "text", "content": "x"}}});
    assert!(words(new(both).unwrap_err()).contains("also in secret_mounts"));
}

#[test]
fn a_commit_takes_every_kind_of_mount_and_refuses_by_name_what_cannot_be_made() {
    let empty = "d41d8cd98f00b204e9800998ecf8427e+0";
    let all = json!({
        "mounts": {
            "/out": {"kind": "tmp"},
            "/pdh": {"kind": "collection", "portable_data_hash": empty, "path": "a"},
            "/uuid": {"kind": "collection", "uuid": "wharf-4zz18-000000000000000"},
            "/out/w": {"kind": "collection", "writable": true},
            "/json": {"kind": "json", "content": {}},
            "/text": {"kind": "text", "content": ""},
            "stdin": {"kind": "collection", "portable_data_hash": empty, "path": "a"},
            "stdout": {"kind": "file", "path": "/out/x"},
        },
        "secret_mounts": {"/s": {"kind": "text", "content": "x"}},
    });
    check_commit(&new(all).unwrap(), anywhere()).unwrap();
    let keep = json!({"mounts": {"/out": {"kind": "tmp"}, "/x": {"kind": "keep"}}});
    let problem = words(check_commit(&new(keep).unwrap(), anywhere()).unwrap_err());
    assert!(problem.starts_with("mounts[\"/x\"] has the kind keep"), "{problem}");
    let secret = json!({"secret_mounts": {"/s": {"kind": "tmp"}}});
    let problem = words(check_commit(&new(secret).unwrap(), anywhere()).unwrap_err());
    assert!(problem.contains("secret_mounts[\"/s\"] has the kind \"tmp\""), "{problem}");
}

#[test]
fn a_runtime_token_is_taken_and_never_shown() {
    let request = new(json!({"runtime_token": "v2/a/b"})).unwrap();
    assert_eq!(request.runtime_token.as_deref(), Some("v2/a/b"));
    assert!(!serde_json::to_string(&request).unwrap().contains("v2/a/b"));
    let mut committed = request;
    committed.state = RequestState::Committed;
    let other = object(json!({"runtime_token": "v2/c/d"}));
    assert!(words(change_request(&committed, &other).unwrap_err()).contains("runtime_token"));
}

#[test]
fn binds_need_the_policy_and_come_out_as_they_went_in() {
    let over = json!({"mounts": {
        "/out": {"kind": "tmp"},
        "/data": {"kind": "bind", "path": "/srv/data"},
        "/work": {"kind": "bind", "path": "/srv/work", "writable": true},
    }});
    let request = new(over).unwrap();
    check_commit(&request, anywhere()).unwrap();
    let refused = check_commit(&request, BindPolicy::Refused("this is why")).unwrap_err();
    assert_eq!(refused.len(), 2);
    assert!(words(refused).contains("asks for the path \"/srv/data\" of the host: this is why"));
    let some = ["/srv/data".into(), "/srv/wor".into()];
    let refused = words(check_commit(&request, BindPolicy::Below(&some)).unwrap_err());
    let expected = "mounts[\"/work\"] asks for the path /srv/work of the host, \
                    which is not below /srv/data, /srv/wor";
    assert_eq!(refused, expected);
    let binds = bind_mounts(&request.mounts);
    let shown: Vec<_> = binds.iter().map(|b| (b.target.as_str(), b.writable)).collect();
    assert_eq!(shown, [("/data", false), ("/work", true)]);
}

#[test]
fn a_runner_is_marked_so_that_it_does_not_wait_for_its_own_children() {
    let mut request = new(json!({"command": ["arvados-cwl-runner", "--local"]})).unwrap();
    mark_supervisor(&mut request);
    assert_eq!(request.scheduling_parameters["supervisor"], true);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_attribute_makes_the_rules_panic_and_what_passes_can_be_sent_back(
        name in prop_oneof![
            Just("mounts"), Just("environment"), Just("runtime_constraints"), Just("command"),
            Just("scheduling_parameters"), Just("published_ports"), Just("priority"), Just("state"),
            Just("output_ttl"), Just("secret_mounts"), Just("filters"), Just("expires_at"),
        ],
        value in any_json(),
    ) {
        if let Ok(request) = new(json!({ name: value })) {
            let wire = object(serde_json::to_value(&request).unwrap());
            prop_assert_eq!(change_request(&request, &wire), Ok(request));
        }
    }
}
