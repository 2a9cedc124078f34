//! Links. Those of class `hostname` (the mission's word) or `published_port` (Arvados 3.2's) name
//! service hosts; those of class `service_access` open a port to a user or a role.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use model::permission::PERMISSION_CLASS;
use model::{
    ContainerPort, FieldError, HostLabel, JsonMap, Link, LinkUuid, UserUuid, is_read_only,
};
use serde_json::Value;
use store::{Reader, Resource, StoreError};

use super::container_requests::writable;
use super::{check_owner, permissions, reads, service_access};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::rights;
use crate::router::Api;
use crate::settle::settle;

const RESOURCE: Resource = Resource::Links;
/// Longest name or class of a link that is no host name.
const TEXT_BYTES_MAX: usize = 1000;
/// Attributes clients send back as they got them.
const READ_ONLY: &[&str] = &["head_kind", "tail_kind"];

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/links", get(list).post(create))
        .route("/arvados/v1/links/{uuid}", get(read).put(update).patch(update).delete(remove))
}

reads!(RESOURCE);

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let (by, now) = (call.caller.user.uuid, api.store().now());
    let blank = Link {
        uuid: api.store().new_link_uuid()?,
        owner_uuid: by.to_string(),
        created_at: now,
        modified_at: now,
        modified_by_user_uuid: by,
        link_class: String::new(),
        name: String::new(),
        tail_uuid: None,
        head_uuid: None,
        properties: JsonMap::new(),
    };
    let mut link = changed(&blank, &call.attributes(RESOURCE)?)?;
    if link.gives() {
        // The system's, so that nobody loses it with an account or a project.
        link.owner_uuid = api.store().system_user().to_string();
    } else {
        check_owner(&api, &call, &link.owner_uuid).await?;
    }
    check(&api, &call, &mut link).await?;
    let link = match api.store().create_link(link, by).await {
        Err(StoreError::NameTaken(name)) => return Err(taken(&api, &call, &name).await),
        other => other?,
    };
    render::record(RESOURCE, &link, select.as_deref(), &call.caller)
}

/// Says whose a name is to those who may see that user or project.
async fn taken(api: &Api, call: &Call, name: &str) -> ApiError {
    let error = ApiError::from(StoreError::NameTaken(name.to_owned()));
    match whose(api, call, name).await {
        Ok(Some(whose)) => ApiError::Unprocessable(vec![format!(
            "name: the host name {name:?} is taken: it belongs to {whose}"
        )]),
        _ => error,
    }
}

async fn whose(api: &Api, call: &Call, name: &str) -> Result<Option<String>, ApiError> {
    let Some(owner) = api.store().hostname_owner(name).await? else { return Ok(None) };
    if api.store().rights(&call.reader()?, &owner).await?.is_none() {
        return Ok(None);
    }
    let Ok(uuid) = UserUuid::parse(&owner) else { return Ok(Some(format!("the project {owner}"))) };
    let user = api.store().user(uuid).await?;
    Ok(user.map(|user| format!("{} ({})", user.full_name(), user.username)))
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let attributes = call.attributes(RESOURCE)?;
    settle(|| async {
        let before = find(&api, &call, &path.uuid).await?;
        let mut after = changed(&before, &attributes)?;
        if before.gives() != after.gives()
            || before.is_service_access() != after.is_service_access()
        {
            let problem =
                "cannot change between links that give something and others: make another link";
            return Err(ApiError::field("link_class", problem));
        }
        if before.is_service_access() {
            let problem = "links of this class do not change: delete it and make another";
            return Err(ApiError::field("link_class", problem));
        }
        if after.gives() {
            after.owner_uuid.clone_from(&before.owner_uuid);
        } else if after.owner_uuid != before.owner_uuid {
            check_owner(&api, &call, &after.owner_uuid).await?;
        }
        check(&api, &call, &mut after).await?;
        if after == before {
            return render::record(RESOURCE, &before, select.as_deref(), &call.caller);
        }
        let saved = api.store().update_link(before, after, call.caller.user.uuid).await?;
        render::record(RESOURCE, &saved, select.as_deref(), &call.caller)
    })
    .await
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let link = find(&api, &call, &path.uuid).await?;
    api.store().deleting_as(call.caller.user.uuid).delete_link(link.uuid).await?;
    render::record(RESOURCE, &link, None, &call.caller)
}

/// The link, where the caller may write it.
async fn find(api: &Api, call: &Call, uuid: &str) -> Result<Link, ApiError> {
    // What was given on something trashed can be taken back.
    let reader = Reader { include_trash: true, ..call.caller.reader() };
    rights::require_write(api, &reader, RESOURCE, uuid).await?;
    let no_such = || ApiError::no_such("link", uuid);
    let parsed = LinkUuid::parse(uuid).map_err(|_not_one| no_such())?;
    api.store().link(parsed).await?.ok_or_else(no_such)
}

/// The link with the attributes that were sent.
fn changed(before: &Link, attributes: &JsonMap) -> Result<Link, ApiError> {
    let mut link = before.clone();
    let mut problems = Vec::new();
    for (name, value) in attributes {
        let text = value.as_str().unwrap_or_default().to_owned();
        let is_text = value.is_string() || value.is_null();
        match name.as_str() {
            "link_class" if is_text => link.link_class = text,
            "name" if is_text => link.name = text,
            "head_uuid" if is_text => link.head_uuid = Some(text).filter(|uuid| !uuid.is_empty()),
            "tail_uuid" if is_text => link.tail_uuid = Some(text).filter(|uuid| !uuid.is_empty()),
            "owner_uuid" if value.is_null() => {}
            "owner_uuid" if is_text => link.owner_uuid = text,
            "link_class" | "name" | "head_uuid" | "tail_uuid" | "owner_uuid" => {
                problems.push(FieldError::new(name, "must be text"));
            }
            "properties" => match value {
                Value::Object(map) => link.properties.clone_from(map),
                Value::Null => link.properties.clear(),
                _ => problems.push(FieldError::new(name, "must be an object")),
            },
            read_only if is_read_only(read_only, READ_ONLY) => {}
            other => {
                let name: String = other.chars().take(60).collect();
                problems.push(FieldError::new(name, "is no attribute of links"));
            }
        }
    }
    if problems.is_empty() { Ok(link) } else { Err(problems.into()) }
}

/// What a link must be, and for a host name, its normal form.
async fn check(api: &Api, call: &Call, link: &mut Link) -> Result<(), ApiError> {
    let mut problems = Vec::new();
    if link.link_class.is_empty() {
        let problem = "must not be empty: \"hostname\" names a service, for example";
        problems.push(FieldError::new("link_class", problem));
    }
    for (field, text) in [("link_class", &link.link_class), ("name", &link.name)] {
        if text.len() > TEXT_BYTES_MAX {
            let problem = format!("is longer than {TEXT_BYTES_MAX} bytes");
            problems.push(FieldError::new(field, problem));
        }
    }
    for (field, uuid) in [("head_uuid", &link.head_uuid), ("tail_uuid", &link.tail_uuid)] {
        if uuid.as_deref().is_some_and(|uuid| !model::uuid::looks_like_uuid(uuid)) {
            problems.push(FieldError::new(field, "is no identifier"));
        }
    }
    if link.link_class == PERMISSION_CLASS {
        permissions::check_link(api, call, link, &mut problems).await?;
    } else if link.is_service_access() {
        service_access::check_link(api, call, link, &mut problems).await?;
    } else if link.is_hostname() {
        check_hostname(api, call, link, &mut problems).await?;
    } else if let Some(head) = link.head_uuid.as_deref()
        && Resource::of_uuid(head).is_some()
        && api.store().rights(&call.reader()?, head).await?.is_none()
    {
        problems.push(FieldError::new("head_uuid", "is nothing that you may see"));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}

/// A port as properties hold it: a number, or its digits.
pub(super) fn port_of(value: &Value) -> Option<ContainerPort> {
    match value {
        Value::Number(number) => {
            number.as_u64().and_then(|it| u16::try_from(it).ok()).and_then(ContainerPort::new)
        }
        Value::String(text) => ContainerPort::parse(text).ok(),
        _ => None,
    }
}

async fn check_hostname(
    api: &Api,
    call: &Call,
    link: &mut Link,
    problems: &mut Vec<FieldError>,
) -> Result<(), ApiError> {
    match HostLabel::parse(&link.name, &api.config().reserved_names) {
        Ok(label) => link.name = label.to_string(),
        Err(problem) => problems.push(FieldError::new("name", problem.to_string())),
    }
    match link.properties.get("port").and_then(port_of) {
        Some(port) => {
            link.properties.insert("port".to_owned(), port.get().into());
        }
        None => {
            let problem = "must be a port from 1 to 65535: send \"properties\": {\"port\": 80}";
            problems.push(FieldError::new("properties.port", problem));
        }
    }
    let head = link.head_uuid.as_deref().unwrap_or_default();
    match writable(api, call, head).await {
        Ok(_) => {}
        Err(ApiError::NotFound(_) | ApiError::Forbidden(_)) => {
            let problem = "must be a container request that you may write";
            problems.push(FieldError::new("head_uuid", problem));
        }
        Err(other) => return Err(other),
    }
    Ok(())
}
