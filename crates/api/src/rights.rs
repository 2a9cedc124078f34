//! Rights over the wire: what a caller may do, asked of the records ([`store::permissions`]) and said in statuses.
//!
//! What a caller cannot see is 404, as if it were not there; what it sees and may not write is 403.

use model::{GroupClass, GroupUuid, JsonMap, UserUuid};
use serde_json::{Value, json};
use store::{Reader, Resource, Rights};

use crate::call::Call;
use crate::error::ApiError;
use crate::lives;
use crate::resources::what;
use crate::router::Api;

mod ports;

/// What the caller may do with a record that it may see.
///
/// # Errors
/// 404 where it does not see it.
pub(crate) async fn on(
    api: &Api,
    reader: &Reader,
    resource: Resource,
    uuid: &str,
) -> Result<Rights, ApiError> {
    let found = match Resource::of_uuid(uuid) {
        Some(of) if of == resource => api.store().rights(reader, uuid).await?,
        _ => None,
    };
    found.ok_or_else(|| ApiError::no_such(what(resource), uuid))
}

/// The record may be written.
///
/// # Errors
/// 404 where the caller does not see it; 403 where it may read it only, or a frozen project holds it.
pub(crate) async fn require_write(
    api: &Api,
    reader: &Reader,
    resource: Resource,
    uuid: &str,
) -> Result<(), ApiError> {
    let rights = on(api, reader, resource, uuid).await?;
    if rights.can_write() {
        return Ok(());
    }
    let what = what(resource);
    Err(ApiError::Forbidden(if rights.is_frozen {
        format!(
            "{what} {uuid} is in a frozen project: nothing there can be changed until it is thawed"
        )
    } else {
        format!("you may read {what} {uuid}, but not change it: that needs can_write on it")
    }))
}

/// The owner a new or changed record shall have.
///
/// # Errors
/// 422 where there is no such user or project; 403 where the caller may not give it to them.
pub(crate) async fn check_owner(api: &Api, call: &Call, owner_uuid: &str) -> Result<(), ApiError> {
    if owner_uuid == call.caller.user.uuid.as_str() {
        return Ok(());
    }
    let reader = call.caller.reader();
    if UserUuid::parse(owner_uuid).is_ok() {
        let rights = api.store().rights(&reader, owner_uuid).await?;
        if rights.is_some_and(Rights::can_manage) {
            return Ok(());
        }
        if call.caller.user.is_admin {
            return Err(ApiError::field("owner_uuid", format!("{owner_uuid} does not exist")));
        }
        let words = format!("owner_uuid: you may not make or give records to {owner_uuid}");
        return Err(ApiError::Forbidden(words));
    }
    let Ok(uuid) = GroupUuid::parse(owner_uuid) else {
        let problem = format!("{owner_uuid:?} is no user and no project");
        return Err(ApiError::field("owner_uuid", problem));
    };
    let group = api.store().group(uuid).await?;
    // Roles are no secret. That it is a project, and not in what it would own, is checked where it is written.
    if let Some(group) = group.filter(|group| group.group_class == GroupClass::Role) {
        let problem = format!("{} is a role: only users and projects own", group.uuid);
        return Err(ApiError::field("owner_uuid", problem));
    }
    match require_write(api, &reader, Resource::Groups, owner_uuid).await {
        Err(ApiError::NotFound(_)) => {
            let problem = format!("there is no project {owner_uuid} that you may see");
            Err(ApiError::field("owner_uuid", problem))
        }
        Err(ApiError::Forbidden(words)) => Err(ApiError::Forbidden(format!("owner_uuid: {words}"))),
        other => other,
    }
}

/// Makes records what this caller may see of them: groups with its rights on them, requests and containers without the
/// secrets of ports that it may not open, containers with what is known of their lives.
pub(crate) async fn add(
    resource: Resource,
    api: &Api,
    call: &Call,
    items: &mut [JsonMap],
) -> Result<(), ApiError> {
    match resource {
        Resource::Groups => add_to_groups(api, call, items).await,
        Resource::ContainerRequests => ports::cut_secrets(resource, api, call, items).await,
        Resource::Containers => {
            ports::cut_secrets(resource, api, call, items).await?;
            lives::add(api, call, items).await
        }
        Resource::Links
        | Resource::Users
        | Resource::Tokens
        | Resource::Collections
        | Resource::Workflows
        | Resource::Logs => Ok(()),
    }
}

/// `can_write`, `can_manage` and `writable_by`.
async fn add_to_groups(api: &Api, call: &Call, items: &mut [JsonMap]) -> Result<(), ApiError> {
    let uuids: Vec<String> = items.iter().filter_map(|item| text(item, "uuid")).collect();
    let uuids: Vec<&str> = uuids.iter().map(String::as_str).collect();
    if uuids.is_empty() {
        return Ok(());
    }
    let rights = api.store().rights_on_groups(&call.caller.reader(), &uuids).await?;
    for item in items {
        let Some(uuid) = text(item, "uuid") else { continue };
        let rights = rights.get(&uuid);
        let can_write = rights.is_some_and(|rights| rights.can_write());
        let can_manage = rights.is_some_and(|rights| rights.can_manage());
        item.insert("can_write".to_owned(), can_write.into());
        item.insert("can_manage".to_owned(), can_manage.into());
        let mut writers: Vec<Value> = item.get("owner_uuid").cloned().into_iter().collect();
        if can_write {
            writers.push(json!(call.caller.user.uuid));
        }
        writers.dedup();
        item.insert("writable_by".to_owned(), writers.into());
    }
    Ok(())
}

fn text(item: &JsonMap, name: &str) -> Option<String> {
    item.get(name).and_then(Value::as_str).map(str::to_owned)
}
