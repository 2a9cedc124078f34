//! The record types, from the attributes that the store keeps of them.

use model::filter::{AttributeKind, type_code_of_kind};
use serde_json::{Map, Value, json};
use store::Resource;

use crate::render;

/// JSON attributes that are lists; the others are objects.
const LISTS: &[&str] = &[
    "command",
    "output_glob",
    "filters",
    "output_storage_classes",
    "runtime_auth_scopes",
    "scopes",
    "storage_classes_desired",
    "storage_classes_confirmed",
    "writable_by",
];

/// A record type and the type of its lists.
pub(super) fn describe(name: &str, resource: Resource) -> [(String, Value); 2] {
    let list = format!("{name}List");
    let mut properties = Map::new();
    let text = |words: &str| json!({ "type": "string", "description": words });
    properties.insert("kind".to_owned(), text("Always the same for this type."));
    properties.insert("etag".to_owned(), text("Changes whenever the object does."));
    for attribute in resource.schema().attributes {
        let described = property(attribute.name, attribute.kind);
        properties.insert(attribute.name.to_owned(), described);
    }
    for attribute in render::computed(resource) {
        properties.entry(*attribute).or_insert_with(|| computed(attribute));
    }
    let record = json!({
        "id": name,
        "description": name,
        "type": "object",
        "uuidPrefix": type_code_of_kind(resource.kind()),
        "properties": properties,
    });
    let of_list = json!({
        "id": list,
        "description": format!("A list of {name} objects."),
        "type": "object",
        "properties": {
            "kind": { "type": "string", "default": format!("{}List", resource.kind()) },
            "etag": { "type": "string" },
            "items": { "type": "array", "items": { "$ref": name } },
            "items_available": { "type": "integer" },
            "offset": { "type": "integer" },
            "limit": { "type": "integer" },
            "self_link": { "type": "string" },
        },
    });
    [(name.to_owned(), record), (list, of_list)]
}

fn property(name: &str, kind: AttributeKind) -> Value {
    match kind {
        AttributeKind::Text => json!({ "type": "string" }),
        AttributeKind::Integer => json!({ "type": "integer" }),
        AttributeKind::Float => json!({ "type": "number" }),
        AttributeKind::Boolean => json!({ "type": "boolean" }),
        AttributeKind::Time => json!({ "type": "string", "format": "date-time" }),
        AttributeKind::Json if LISTS.contains(&name) => list_of_text(),
        AttributeKind::Json => json!({ "type": "object" }),
    }
}

/// Clients read what is in a list before they show it to anybody.
fn list_of_text() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn computed(name: &str) -> Value {
    match name {
        name if LISTS.contains(&name) => list_of_text(),
        name if name.starts_with("can_") || name.starts_with("is_") => json!({ "type": "boolean" }),
        _ => json!({ "type": "string" }),
    }
}
