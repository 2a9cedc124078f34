//! The attributes of a collection that clients send, checked one by one.

use model::{Collection, CollectionUuid, FieldError, JsonMap, Timestamp, is_read_only};
use serde_json::Value;

use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// Longest name, in characters (Arvados).
const NAME_CHARS_MAX: usize = 255;
/// Attributes clients send back as they got them, and options that come among them.
const IGNORED: &[&str] = &[
    "unsigned_manifest_text",
    "version",
    "current_version_uuid",
    "file_count",
    "file_size_total",
    "replication_confirmed",
    "replication_confirmed_at",
    "storage_classes_confirmed",
    "storage_classes_confirmed_at",
    "ensure_unique_name",
    "replace_files",
    "replace_segments",
    "select",
];

/// What was sent besides plain attributes.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) manifest_text: Option<String>,
    pub(super) portable_data_hash: Option<String>,
    pub(super) preserve_version: Option<bool>,
    pub(super) is_trashed: Option<bool>,
    pub(super) trash_at: Option<Option<Timestamp>>,
    pub(super) delete_at: Option<Option<Timestamp>>,
}

/// A collection before anything was said about it.
pub(super) fn blank(api: &Api, call: &Call) -> Result<Collection, ApiError> {
    let (by, now) = (call.caller.user.uuid, api.store().now());
    // The real identifier is drawn when it is written.
    let uuid = CollectionUuid::well_known(&api.store().cluster(), "000000000000000")
        .map_err(|error| ApiError::Failed(error.to_string()))?;
    Ok(Collection::empty(uuid, by.to_string(), by, now))
}

/// The collection with the attributes that were sent; content and trash are for others to settle.
pub(super) fn changed(
    before: &Collection,
    attributes: &JsonMap,
) -> Result<(Collection, Sent), ApiError> {
    let (mut after, mut sent, mut problems) = (before.clone(), Sent::default(), Vec::new());
    for (name, value) in attributes {
        if let Err(problem) = set(&mut after, &mut sent, name, value) {
            let name: String = name.chars().take(60).collect();
            problems.push(FieldError::new(name, problem));
        }
    }
    if problems.is_empty() { Ok((after, sent)) } else { Err(problems.into()) }
}

type Problem = &'static str;

fn set(
    collection: &mut Collection,
    sent: &mut Sent,
    name: &str,
    value: &Value,
) -> Result<(), Problem> {
    match name {
        "name" => collection.name = checked_name(text(value)?.unwrap_or_default())?,
        "description" => collection.description = text(value)?,
        "owner_uuid" => {
            if let Some(owner) = text(value)? {
                collection.owner_uuid = owner;
            }
        }
        "properties" => collection.properties = object(value)?,
        "manifest_text" => sent.manifest_text = Some(text(value)?.unwrap_or_default()),
        "portable_data_hash" => sent.portable_data_hash = text(value)?,
        "replication_desired" => collection.replication_desired = copies(value)?,
        "storage_classes_desired" => collection.storage_classes_desired = classes(value)?,
        "preserve_version" => {
            sent.preserve_version = flag(value)?;
            collection.preserve_version = sent.preserve_version.unwrap_or_default();
        }
        "is_trashed" => sent.is_trashed = flag(value)?,
        "trash_at" => sent.trash_at = Some(time(value)?),
        "delete_at" => sent.delete_at = Some(time(value)?),
        ignored if is_read_only(ignored, IGNORED) => {}
        _ => return Err("is no attribute of collections"),
    }
    Ok(())
}

fn text(value: &Value) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err("must be text"),
    }
}

fn flag(value: &Value) -> Result<Option<bool>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::String(text) if text == "true" => Ok(Some(true)),
        Value::String(text) if text == "false" => Ok(Some(false)),
        _ => Err("must be true or false"),
    }
}

fn object(value: &Value) -> Result<JsonMap, Problem> {
    match value {
        Value::Null => Ok(JsonMap::new()),
        Value::Object(map) => Ok(map.clone()),
        _ => Err("must be an object"),
    }
}

fn time(value: &Value) -> Result<Option<Timestamp>, Problem> {
    let problem = "must be a time such as 2026-01-31T12:00:00Z, or null";
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|_no_time| problem),
        _ => Err(problem),
    }
}

fn copies(value: &Value) -> Result<Option<i64>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => match number.as_i64() {
            Some(copies) if (0..=1000).contains(&copies) => Ok(Some(copies)),
            _ => Err("must be a number from 0 to 1000"),
        },
        _ => Err("must be a number or null"),
    }
}

fn classes(value: &Value) -> Result<Vec<String>, Problem> {
    let problem = "must be a list of names of storage classes, such as [\"default\"]";
    match value {
        Value::Null => Ok(vec!["default".to_owned()]),
        Value::Array(classes) => classes
            .iter()
            .map(|class| match class {
                Value::String(class) if !class.is_empty() => Ok(class.clone()),
                _ => Err(problem),
            })
            .collect(),
        _ => Err(problem),
    }
}

fn checked_name(name: String) -> Result<String, Problem> {
    if matches!(name.as_str(), "." | "..") || name.contains('/') {
        return Err(
            "must not be \".\" or \"..\", nor have \"/\" in it: mounts show it as a directory",
        );
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err("must not be longer than 255 characters");
    }
    Ok(name)
}
