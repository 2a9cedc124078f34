//! Containers: read by whoever can read a request that points at one; written by their own programs, within bounds, and
//! by dispatchers that are not ours.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use model::container_rules::{self, Speaker};
use model::{Container, ContainerUuid};
use serde_json::json;
use store::Resource;

use super::{ByUuid, reads};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::router::Api;
use crate::settle::settle;

const RESOURCE: Resource = Resource::Containers;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/containers", get(list).post(refuse))
        .route("/arvados/v1/containers/current", get(current))
        .route("/arvados/v1/containers/{uuid}", get(read).put(update).patch(update).delete(refuse))
        .route("/arvados/v1/containers/{uuid}/auth", get(auth))
        .route("/arvados/v1/containers/{uuid}/lock", post(lock))
        .route("/arvados/v1/containers/{uuid}/unlock", post(unlock))
        .route("/arvados/v1/containers/{uuid}/secret_mounts", get(secret_mounts))
        .route("/arvados/v1/containers/{uuid}/update_priority", post(update_priority))
}

reads!(RESOURCE);

/// The container whose own token calls. Runners take exactly this 404 for "not inside a container".
async fn current(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let found = api.store().container_of_token(&call.caller.presented).await?;
    let container = found.ok_or_else(|| {
        ApiError::NotFound("Token is not associated with a container.".to_owned())
    })?;
    render::record(RESOURCE, &container, select.as_deref(), &call.caller)
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let attributes = call.attributes(RESOURCE)?;
    settle(|| async {
        let (before, speaker) = spoken_of(&api, &call, &path.uuid).await?;
        let after = container_rules::change_container(&before, &attributes, speaker)?;
        for (name, old, new) in
            [("output", &before.output, &after.output), ("log", &before.log, &after.log)]
        {
            if let Some(hash) = new.as_deref().filter(|_| old != new) {
                check_content(&api, &call, name, hash).await?;
            }
        }
        if after == before {
            return render::record(RESOURCE, &before, select.as_deref(), &call.caller);
        }
        let saved = api.store().update_container(before, after).await?;
        render::record(RESOURCE, &saved, select.as_deref(), &call.caller)
    })
    .await
}

/// The container, and as what the caller speaks of it: its own program, or an administrator.
async fn spoken_of(api: &Api, call: &Call, uuid: &str) -> Result<(Container, Speaker), ApiError> {
    let own = api.store().container_of_token(&call.caller.presented).await?;
    if let Some(own) = own.filter(|own| own.uuid.as_str() == uuid) {
        return Ok((own, Speaker::Program));
    }
    // Who may see it hears that they may not write it.
    let container = visible(api, call, uuid).await?;
    call.caller.require_admin("change containers; their own programs may, and the system does")?;
    Ok((container, Speaker::Dispatcher))
}

async fn visible(api: &Api, call: &Call, uuid: &str) -> Result<Container, ApiError> {
    let no_such = || ApiError::no_such("container", uuid);
    let parsed = ContainerUuid::parse(uuid).map_err(|_not_one| no_such())?;
    if api.store().get(RESOURCE, uuid, &call.caller.reader()).await?.is_none() {
        return Err(no_such());
    }
    api.store().container(parsed).await?.ok_or_else(no_such)
}

/// A collection with this content, in the trash or not, that the caller may read.
async fn check_content(api: &Api, call: &Call, name: &str, hash: &str) -> Result<(), ApiError> {
    if api.store().is_content_readable(hash, &call.caller.reader()).await? {
        return Ok(());
    }
    Err(ApiError::field(name, format!("{hash} is no collection that you may read")))
}

/// The token for the container's program, for the dispatcher that has it.
async fn auth(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let container = held(&api, &call, &path.uuid).await?;
    let token = api.store().container_token(container.uuid).await?.ok_or_else(|| {
        ApiError::Unprocessable(vec![
            "state: the container is neither Locked nor Running".to_owned(),
        ])
    })?;
    let secret = token.text.split('/').nth(2).unwrap_or_default().to_owned();
    super::tokens::with_secret(&call, &token.record, &secret)
}

async fn secret_mounts(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<serde_json::Value>, ApiError> {
    let container = held(&api, &call, &path.uuid).await?;
    let mounts = api.store().secret_mounts_as_asked(container.uuid).await?;
    Ok(Json(json!({ "secret_mounts": mounts })))
}

async fn lock(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    call.caller.require_admin("lock containers")?;
    let container = visible(&api, &call, &path.uuid).await?;
    let by = call.caller.token.uuid.to_string();
    if !api.store().lock_container(container.uuid, &by).await? {
        let problem = format!("cannot be locked: it is {}, or nobody wants it", container.state);
        return Err(ApiError::field("state", problem));
    }
    read_again(&api, &call, container.uuid).await
}

async fn unlock(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let container = held(&api, &call, &path.uuid).await?;
    if !api.store().unlock_container(container.uuid).await? {
        let problem = format!("cannot be unlocked: it is {}", container.state);
        return Err(ApiError::field("state", problem));
    }
    read_again(&api, &call, container.uuid).await
}

/// Priorities follow their requests in the transaction that changes these: there is nothing to bring up to date.
async fn update_priority(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    call.caller.require_admin("bring priorities up to date")?;
    let container = visible(&api, &call, &path.uuid).await?;
    render::record(RESOURCE, &container, None, &call.caller)
}

async fn read_again(api: &Api, call: &Call, uuid: ContainerUuid) -> Result<Response, ApiError> {
    let found = api.store().container(uuid).await?;
    let container = found.ok_or_else(|| ApiError::no_such("container", uuid.as_str()))?;
    render::record(RESOURCE, &container, None, &call.caller)
}

/// A container that the caller's own token has locked.
async fn held(api: &Api, call: &Call, uuid: &str) -> Result<Container, ApiError> {
    call.caller.require_admin("dispatch containers")?;
    let container = visible(api, call, uuid).await?;
    if container.locked_by_uuid.as_deref() != Some(call.caller.token.uuid.as_str()) {
        return Err(ApiError::Forbidden("the container is not locked by your token".to_owned()));
    }
    Ok(container)
}

async fn refuse(_call: Call) -> ApiError {
    ApiError::Forbidden(
        "containers are made and deleted by the system only: submit a container request, or set \
         its priority to 0 to cancel"
            .to_owned(),
    )
}
