//! A log entry as an event's frame.

use model::JsonMap;
use serde_json::{Value, json};

use crate::render;

/// The attributes that events carry; clients read the record for the rest.
const ATTRIBUTES: [&str; 6] = [
    "is_trashed",
    "name",
    "owner_uuid",
    "portable_data_hash",
    "requesting_container_uuid",
    "state",
];

/// The frame with this number. Old and new attributes are objects also where there are none: pages reach into them
/// unasked.
pub(super) fn event(number: u64, entry: &JsonMap) -> Value {
    let of = |name: &str| entry.get(name).cloned().unwrap_or_default();
    let object_uuid = of("object_uuid");
    json!({
        "msgID": number,
        "id": of("id"),
        "uuid": of("uuid"),
        "object_kind": object_uuid.as_str().and_then(render::kind_of),
        "object_uuid": object_uuid,
        "object_owner_uuid": of("object_owner_uuid"),
        "event_type": of("event_type"),
        "event_at": of("event_at"),
        "properties": properties(of("properties")),
    })
}

fn properties(properties: Value) -> Value {
    if properties.get("text").is_some() {
        return properties;
    }
    let reduced = |name: &str| -> JsonMap {
        let attributes = properties.get(name).and_then(Value::as_object);
        let known = |attribute: &&str| {
            let value = attributes?.get(*attribute)?.clone();
            Some(((*attribute).to_owned(), value))
        };
        ATTRIBUTES.iter().filter_map(known).collect()
    };
    json!({
        "old_attributes": reduced("old_attributes"),
        "new_attributes": reduced("new_attributes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &Value) -> Value {
        let entry = json!({
            "id": 7, "uuid": "wharf-57u5n-000000000000000", "event_type": "update",
            "object_uuid": "wharf-xvhdp-000000000000000", "object_owner_uuid": "o",
            "event_at": "t", "properties": properties,
        });
        event(1, entry.as_object().unwrap())
    }

    #[test]
    fn an_event_carries_a_few_attributes_and_always_both_objects() {
        let event = of(&json!({
            "old_attributes": null,
            "new_attributes": {"state": "Final", "requesting_container_uuid": null, "command": []},
        }));
        assert_eq!(event["msgID"], 1);
        assert_eq!(event["object_kind"], "arvados#containerRequest");
        assert_eq!(event["properties"]["old_attributes"], json!({}));
        let expected = json!({"requesting_container_uuid": null, "state": "Final"});
        assert_eq!(event["properties"]["new_attributes"], expected);
    }

    #[test]
    fn what_programs_say_is_passed_on_whole() {
        let said = json!({"text": "line 1\n", "more": [1]});
        assert_eq!(of(&said)["properties"], said);
    }
}
