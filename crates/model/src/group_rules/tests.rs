#![allow(clippy::needless_pass_by_value, reason = "literals read best by value")]

use serde_json::json;

use super::*;

const NOW: &str = "2026-11-23T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn origin() -> GroupOrigin {
    GroupOrigin {
        uuid: GroupUuid::parse("wharf-j7d0g-000000000000001").unwrap(),
        by: UserUuid::parse("wharf-tpzed-000000000000001").unwrap(),
        system_user: UserUuid::parse("wharf-tpzed-000000000000000").unwrap(),
        at: now(),
    }
}

fn made(attributes: Value) -> Result<Group, Vec<FieldError>> {
    new_group(attributes.as_object().unwrap(), &origin())
}

fn project() -> Group {
    made(json!({"group_class": "project", "name": "Lab"})).unwrap()
}

#[test]
fn a_project_belongs_to_who_makes_it_and_a_role_to_the_system() {
    assert_eq!(project().owner_uuid, "wharf-tpzed-000000000000001");
    let role =
        json!({"group_class": "role", "name": "a/b", "owner_uuid": "wharf-tpzed-000000000000009"});
    assert_eq!(made(role).unwrap().owner_uuid, "wharf-tpzed-000000000000000");
    let moved = json!({"group_class": "project", "name": "Lab", "owner_uuid": "wharf-j7d0g-000000000000009", "etag": "x"});
    assert_eq!(made(moved).unwrap().owner_uuid, "wharf-j7d0g-000000000000009");
}

#[test]
fn every_bad_attribute_is_named() {
    for (over, words) in [
        (json!({"group_class": null}), "group_class must be"),
        (json!({"group_class": "team"}), "group_class must be"),
        (json!({"name": ""}), "name must not be empty"),
        (json!({"name": " "}), "name must not be empty"),
        (json!({"name": 1}), "name must be text"),
        (json!({"name": ".."}), "name must not be ."),
        (json!({"name": "a/b"}), "must not contain /"),
        (json!({"name": "x".repeat(256)}), "name is longer than 255"),
        (json!({"properties": []}), "properties must be an object"),
        (json!({"trash_at": "soon"}), "trash_at must be a time"),
        (json!({"is_trashed": 1}), "is_trashed must be true or false"),
        (json!({"frozen_by_uuid": "x"}), "frozen_by_uuid `x` is no identifier"),
        (json!({"color": "red"}), "color is no attribute of groups"),
        (json!({"group_class": "filter"}), "properties.filters of a filter group"),
        (json!({"group_class": "role", "is_trashed": true}), "trash_at is not for roles"),
        (
            json!({"trash_at": "2027-01-02T00:00:00Z", "delete_at": "2027-01-01T00:00:00Z"}),
            "delete_at must not be before",
        ),
    ] {
        let mut attributes = json!({"group_class": "project", "name": "Lab"});
        attributes.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let problems = made(attributes).unwrap_err();
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(text.contains(words), "{over}: {text}");
    }
}

#[test]
fn the_class_is_fixed() {
    let change = |class: &str| {
        let attributes = json!({"group_class": class});
        change_group(&project(), attributes.as_object().unwrap(), now())
    };
    assert!(change("project").is_ok() && change("role").is_err());
}

#[test]
fn the_flag_and_the_time_of_trash_follow_each_other() {
    let change = |before: &Group, attributes: Value| {
        change_group(before, attributes.as_object().unwrap(), now()).unwrap()
    };
    let trashed = change(&project(), json!({"is_trashed": true}));
    assert_eq!((trashed.trash_at, trashed.is_trashed), (Some(now()), true));
    let back = change(&trashed, json!({"is_trashed": false}));
    assert_eq!((back.trash_at, back.delete_at, back.is_trashed), (None, None, false));
    let later = change(&project(), json!({"trash_at": "2027-01-01T00:00:00Z"}));
    assert!(!later.is_trashed && later.trash_at.is_some());
    assert!(change(&project(), json!({"trash_at": NOW})).is_trashed);
    assert_eq!(change(&trashed, json!({"trash_at": null})), project());
    assert_eq!(change(&trashed, json!({"name": "Lab", "is_trashed": true})), trashed);
}
