//! What a group may say: defaults, checks, and what its class and state allow.
//!
//! Pure: attributes as a client sent them go in, a whole group or every problem comes out. Who may do it, and whether
//! owner and name can be had, is for others to check. Start at [`new_group`] and [`change_group`].

use serde_json::Value;

use crate::FieldError;
use crate::group::{Group, GroupClass};
use crate::records::{JsonMap, is_read_only};
use crate::timestamp::Timestamp;
use crate::uuid::{GroupUuid, UserUuid};

/// Longest name: what Arvados's column holds.
const NAME_CHARS_MAX: usize = 255;
/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 512 << 10;

/// What [`new_group`] needs beside the attributes.
#[derive(Debug, Clone)]
pub struct GroupOrigin {
    /// The new group's identifier.
    pub uuid: GroupUuid,
    /// Who makes it.
    pub by: UserUuid,
    /// Who owns roles.
    pub system_user: UserUuid,
    /// When.
    pub at: Timestamp,
}

/// Attributes that clients send back as they got them, and that only we set.
const READ_ONLY: &[&str] = &["writable_by", "can_write", "can_manage"];

/// A new group of the attributes a client sent.
///
/// # Errors
/// Every problem, each naming its field.
pub fn new_group(attributes: &JsonMap, origin: &GroupOrigin) -> Result<Group, Vec<FieldError>> {
    let class = attributes.get("group_class").and_then(Value::as_str).and_then(GroupClass::parse);
    let Some(class) = class else {
        let problem = "must be \"project\", \"role\" or \"filter\"";
        return Err(vec![FieldError::new("group_class", problem)]);
    };
    let owner = if class == GroupClass::Role { origin.system_user } else { origin.by };
    let blank = Group {
        uuid: origin.uuid,
        owner_uuid: owner.to_string(),
        created_at: origin.at,
        modified_at: origin.at,
        modified_by_user_uuid: origin.by,
        name: String::new(),
        group_class: class,
        description: None,
        properties: JsonMap::new(),
        trash_at: None,
        delete_at: None,
        is_trashed: false,
        frozen_by_uuid: None,
    };
    changed(&blank, attributes, origin.at)
}

/// `before` with the attributes a client sent. What becomes trashed by it has no `delete_at` unless they say one.
///
/// # Errors
/// Every problem, each naming its field.
pub fn change_group(
    before: &Group,
    attributes: &JsonMap,
    now: Timestamp,
) -> Result<Group, Vec<FieldError>> {
    changed(before, attributes, now)
}

fn changed(before: &Group, attributes: &JsonMap, now: Timestamp) -> Result<Group, Vec<FieldError>> {
    let mut group = before.clone();
    let mut problems = Vec::new();
    for (name, value) in attributes {
        if let Err(problem) = apply(&mut group, before, name, value) {
            problems.push(FieldError::new(name.chars().take(60).collect::<String>(), problem));
        }
    }
    settle_trash(&mut group, attributes, now);
    check(&group, &mut problems);
    if problems.is_empty() { Ok(group) } else { Err(problems) }
}

fn apply(group: &mut Group, before: &Group, name: &str, value: &Value) -> Result<(), String> {
    match name {
        "name" => group.name = text(value)?.trim().to_owned(),
        "description" => group.description = Some(text(value)?).filter(|text| !text.is_empty()),
        "owner_uuid" => {
            let owner = text(value)?;
            if !owner.is_empty() && group.group_class != GroupClass::Role {
                group.owner_uuid = owner;
            }
        }
        "group_class" => {
            if value.as_str() != Some(before.group_class.as_str()) {
                return Err(format!("cannot change: it is {:?}", before.group_class.as_str()));
            }
        }
        "properties" => match value {
            Value::Object(map) => group.properties.clone_from(map),
            Value::Null => group.properties.clear(),
            _ => return Err("must be an object".to_owned()),
        },
        "trash_at" => group.trash_at = time(value)?,
        "delete_at" => group.delete_at = time(value)?,
        "is_trashed" => {
            group.is_trashed = match value {
                Value::Null => group.is_trashed,
                Value::Bool(flag) => *flag,
                Value::String(text) if text == "true" => true,
                Value::String(text) if text == "false" => false,
                _ => return Err("must be true or false".to_owned()),
            }
        }
        "frozen_by_uuid" => {
            let by = text(value)?;
            group.frozen_by_uuid = match by.as_str() {
                "" => None,
                uuid => Some(UserUuid::parse(uuid).map_err(|error| error.to_string())?),
            };
        }
        read_only if is_read_only(read_only, READ_ONLY) => {}
        _ => return Err("is no attribute of groups".to_owned()),
    }
    Ok(())
}

/// `is_trashed` follows from `trash_at`; where only the flag was sent, `trash_at` follows from it.
fn settle_trash(group: &mut Group, attributes: &JsonMap, now: Timestamp) {
    let sent = |name: &str| attributes.get(name).is_some_and(|value| !value.is_null());
    if sent("is_trashed") && !sent("trash_at") {
        match group.is_trashed {
            true if !group.is_trashed_at(now) => group.trash_at = Some(now),
            false if group.is_trashed_at(now) => group.untrash(),
            _ => {}
        }
    }
    if group.trash_at.is_none() {
        group.delete_at = None;
    }
    group.is_trashed = group.is_trashed_at(now);
}

fn check(group: &Group, problems: &mut Vec<FieldError>) {
    let mut refuse = |field: &str, problem: String| problems.push(FieldError::new(field, problem));
    if let Some(problem) = name_problem(group) {
        refuse("name", problem);
    }
    if group.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        refuse("description", format!("is longer than {DESCRIPTION_BYTES_MAX} bytes"));
    }
    let filters = group.properties.get("filters");
    if group.group_class == GroupClass::Filter && !filters.is_some_and(Value::is_array) {
        let problem = "of a filter group must be a list of [attribute, operator, operand]";
        refuse("properties.filters", problem.to_owned());
    }
    if group.group_class == GroupClass::Role && group.trash_at.is_some() {
        refuse("trash_at", "is not for roles: delete it instead".to_owned());
    }
    if group.group_class != GroupClass::Project && group.frozen_by_uuid.is_some() {
        refuse("frozen_by_uuid", "is for projects only".to_owned());
    }
    if let (Some(trash_at), Some(delete_at)) = (group.trash_at, group.delete_at)
        && delete_at < trash_at
    {
        refuse("delete_at", "must not be before trash_at".to_owned());
    }
}

/// What is wrong with a name: projects are directories to many clients.
fn name_problem(group: &Group) -> Option<String> {
    let name = group.name.as_str();
    if name.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Some(format!("is longer than {NAME_CHARS_MAX} characters"));
    }
    if name.contains('\0') {
        return Some("must not contain a NUL character".to_owned());
    }
    if group.group_class == GroupClass::Role {
        return None;
    }
    if matches!(name, "." | "..") || name.contains('/') {
        return Some("must not be . or .. and must not contain /".to_owned());
    }
    None
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err("must be text".to_owned()),
    }
}

fn time(value: &Value) -> Result<Option<Timestamp>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_other| "must be a time such as 2026-01-31T12:00:00Z".to_owned()),
        _ => Err("must be a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests;
