use super::*;

fn filled_in() -> Draft {
    let form = "name=Lab&image=lab%3A1&command=jupyter+lab+--x%3D'a+b'&environment=A%3Db%0D%0AC%3Dd%3De&cpus=2\
        &ram=2GiB&port=8888&label=Jupyter&access=private&path=lab&port=&label=&access=private&path=\
        &port=80&label=Site&access=public&path=&host_name=lab&form_token=x";
    Draft::of_pairs(form_urlencoded::parse(form.as_bytes()))
}

fn original() -> ContainerRequest {
    serde_json::from_value(json!({
        "uuid": "wharf-xvhdp-000000000000001", "owner_uuid": "wharf-j7d0g-000000000000001",
        "created_at": "2026-11-23T20:58:45.123456789Z", "modified_at": "2026-11-23T20:58:45.123456789Z",
        "modified_by_user_uuid": "wharf-tpzed-000000000000001", "name": "old", "description": "d",
        "properties": { "container_image_name": "lab:1", "mine": 1 }, "state": "Final",
        "requesting_container_uuid": null, "container_uuid": "wharf-dz642-000000000000001",
        "container_count": 1, "container_count_max": 2, "mounts": { "/data": { "kind": "tmp" } },
        "runtime_constraints": { "API": true, "gpu": {}, "keep_cache_disk": 0, "keep_cache_ram": 0,
            "ram": 1024, "vcpus": 1 },
        "scheduling_parameters": { "max_run_time": 60 }, "container_image": "abc+12",
        "environment": { "OLD": "1" }, "cwd": "/w", "command": ["a"], "output_path": "/o",
        "output_glob": ["*.txt"], "output_name": "n", "output_ttl": 5, "priority": 0,
        "use_existing": false, "log_uuid": null, "output_uuid": null, "expires_at": null,
        "filters": null, "output_storage_classes": ["default"], "output_properties": {},
        "cumulative_cost": 0.0, "service": true,
        "published_ports": { "80": { "access": "public", "label": "Site", "initial_path": "x" } },
    }))
    .unwrap()
}

#[test]
fn the_form_makes_the_request_and_the_command() {
    let draft = filled_in();
    let request = Value::from(draft.request(None).unwrap());
    assert_eq!(request["command"], json!(["jupyter", "lab", "--x=a b"]));
    assert_eq!(request["environment"], json!({ "A": "b", "C": "d=e" }));
    assert_eq!(request["runtime_constraints"], json!({ "ram": 2_147_483_648_u64, "vcpus": 2 }));
    let ports = json!({
        "80": { "access": "public", "label": "Site", "initial_path": "" },
        "8888": { "access": "private", "label": "Jupyter", "initial_path": "lab" },
    });
    assert_eq!(request["published_ports"], ports);
    assert_eq!((&request["service"], &request["state"]), (&json!(true), &json!("Committed")));
    let line = draft.command_line();
    let expected = "wharf run \\\n  --name Lab \\\n  --image lab:1 \\\n  --publish 8888:private:Jupyter \\\n  \
        --publish 80:public:Site \\\n  --hostname lab \\\n  --env A=b \\\n  --env C=d=e \\\n  --cpus 2 \\\n  \
        --ram 2GiB \\\n  -- jupyter lab '--x=a b'";
    assert!(line.starts_with(expected), "{line}");
    assert!(line.ends_with("# the paths of ports are the form's alone"));
}

#[test]
fn each_problem_is_said_at_its_field() {
    let form = "image=+&command='x&environment=nonsense&cpus=0&ram=lots&port=70000&label=a&port=80&label=&port=80&label=b&host_name=";
    let wrong = Draft::of_pairs(form_urlencoded::parse(form.as_bytes())).request(None).unwrap_err();
    let fields: Vec<&str> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
    assert_eq!(
        fields,
        ["command", "image", "environment", "port-0", "label-1", "port-2", "cpus", "ram"]
    );
    let draft = filled_in();
    for (text, field, words) in [
        ("published_ports[\"80\"].label is too long", "label-2", "is too long"),
        ("published_ports[\"8888\"].initial_path must not", "path-0", "must not"),
        ("runtime_constraints.ram asks for more", "ram", "asks for more"),
        ("container_image \"x\" is not there", "image", "\"x\" is not there"),
        ("owner_uuid: is nobody", "", "owner_uuid: is nobody"),
    ] {
        let expected = Wrong { field: field.to_owned(), words: words.to_owned() };
        assert_eq!(draft.place_wrong(text), expected, "{text}");
    }
}

#[test]
fn a_copy_keeps_everything_and_takes_what_was_changed() {
    let original = original();
    let mut draft = Draft::of_request(&original);
    assert_eq!((draft.image.as_str(), draft.environment.as_str()), ("lab:1", "OLD=1"));
    let copy = Value::from(draft.request(Some(&original)).unwrap());
    let whole = serde_json::to_value(&original).unwrap();
    for name in KEPT.iter().chain(&["name", "command", "container_image", "published_ports"]) {
        if *name != "runtime_constraints" {
            assert_eq!(copy[name], whole[name], "{name}");
        }
    }
    assert_eq!(copy["runtime_constraints"]["API"], json!(true));
    assert_eq!(copy["runtime_constraints"]["ram"], json!(1024));
    assert_eq!(copy["priority"], json!(500));
    draft.image = "lab:2".to_owned();
    draft.environment = String::new();
    draft.ram = "2KiB".to_owned();
    let copy = Value::from(draft.request(Some(&original)).unwrap());
    assert_eq!(copy["container_image"], json!("lab:2"));
    assert_eq!(copy["environment"], json!({}));
    assert_eq!(copy["runtime_constraints"]["ram"], json!(2048));

    let again = Value::from(same_again(&original));
    assert_eq!(again["mounts"], whole["mounts"]);
    assert_eq!(again["environment"], whole["environment"]);
    assert_eq!((&again["priority"], &again["state"]), (&json!(500), &json!("Committed")));
    assert!(again.get("uuid").is_none() && again.get("container_uuid").is_none());
}

#[test]
fn more_than_there_is_is_said_at_its_field_before_it_waits_for_ever() {
    use model::site::{Capacity, Share};
    let share = |most| Share { promised: most, most };
    let room = |vcpus, ram_bytes| Capacity {
        vcpus: share(vcpus),
        ram_bytes: share(ram_bytes),
        ..Capacity::default()
    };
    let fields = |room: &Capacity| -> Vec<String> {
        filled_in().too_much(room).into_iter().map(|wrong| wrong.field).collect()
    };
    // What is promised to others ends some day.
    assert!(fields(&room(2, 2 << 30)).is_empty());
    assert_eq!(fields(&room(1, (2 << 30) - 1)), ["cpus", "ram"]);
    assert!(fields(&Capacity::default()).is_empty(), "a server that does not say");
    let words = &filled_in().too_much(&room(2, 1 << 30))[0].words;
    assert_eq!(words, "must be at most 1 GiB: that is all there is for services");
}
