//! Container requests: submitting, changing, cancelling.

use std::path::PathBuf;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::request_rules::{self, BindPolicy, Origin};
use model::{BindMount, ContainerRequest, RequestState, RequestUuid};
use serde_json::json;
use store::{Resource, StoreError};

use super::{TRIES_MAX, check_owner, reads};
use crate::call::Call;
use crate::config::BindMounts;
use crate::error::ApiError;
use crate::render;
use crate::rights;
use crate::router::Api;

const RESOURCE: Resource = Resource::ContainerRequests;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/container_requests", get(list).post(create))
        .route(
            "/arvados/v1/container_requests/{uuid}",
            get(read).put(update).patch(update).delete(remove),
        )
        .route("/arvados/v1/container_requests/{uuid}/container_status", get(container_status))
}

reads!(RESOURCE);

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let attributes = call.attributes(RESOURCE)?;
    let by = call.caller.user.uuid;
    let origin = Origin { uuid: api.store().new_request_uuid()?, by, at: api.store().now() };
    let mut request = request_rules::new_request(&attributes, &origin)?;
    check_owner(&api, &call, &request.owner_uuid).await?;
    if request.state == RequestState::Committed {
        prepare_commit(&api, &call, &mut request).await?;
    }
    let request = api.store().create_request(request, by).await?;
    render::record(RESOURCE, &request, select.as_deref(), &call.caller)
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let attributes = call.attributes(RESOURCE)?;
    let by = call.caller.user.uuid;
    for _try in 0..TRIES_MAX {
        let before = writable(&api, &call, &path.uuid).await?;
        let mut after = request_rules::change_request(&before, &attributes)?;
        if after.owner_uuid != before.owner_uuid {
            check_owner(&api, &call, &after.owner_uuid).await?;
        }
        if before.state == RequestState::Uncommitted && after.state == RequestState::Committed {
            prepare_commit(&api, &call, &mut after).await?;
        }
        if after == before {
            return render::record(RESOURCE, &before, select.as_deref(), &call.caller);
        }
        match api.store().update_request(before, after, by).await {
            Err(StoreError::Changed(_)) => {}
            other => return render::record(RESOURCE, &other?, select.as_deref(), &call.caller),
        }
    }
    Err(ApiError::Store(StoreError::Busy))
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let request = writable(&api, &call, &path.uuid).await?;
    api.store().delete_request(request.uuid).await?;
    render::record(RESOURCE, &request, None, &call.caller)
}

/// How far the container is, and why it waits.
async fn container_status(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    rights::on(&api, &call.caller.reader(), RESOURCE, &path.uuid).await?;
    let request = load(&api, &path.uuid).await?;
    let Some(uuid) = request.container_uuid else {
        return Ok(
            Json(json!({ "uuid": null, "state": null, "scheduling_status": "" })).into_response()
        );
    };
    let container = api.store().container(uuid).await?;
    let status = api.store().scheduling_status(uuid).await?;
    let state = container.map(|container| container.state);
    Ok(Json(json!({ "uuid": uuid, "state": state, "scheduling_status": status })).into_response())
}

/// The request, where the caller may write it.
///
/// # Errors
/// 404 where the caller does not see it, 403 where it may read it only.
pub(crate) async fn writable(
    api: &Api,
    call: &Call,
    uuid: &str,
) -> Result<ContainerRequest, ApiError> {
    // With include_trash also in the trash: what runs there can be ended.
    rights::require_write(api, &call.reader()?, RESOURCE, uuid).await?;
    load(api, uuid).await
}

async fn load(api: &Api, uuid: &str) -> Result<ContainerRequest, ApiError> {
    let no_such = || ApiError::no_such("container request", uuid);
    let parsed = RequestUuid::parse(uuid).map_err(|_not_one| no_such())?;
    api.store().request(parsed).await?.ok_or_else(no_such)
}

/// Replaces each path of the host by what it leads to, which has to be below an allowed directory
/// too: a link that somebody put there must not lead out.
async fn resolve_binds(
    directories: &[PathBuf],
    request: &mut ContainerRequest,
) -> Result<(), ApiError> {
    let mut allowed = Vec::with_capacity(directories.len());
    for directory in directories {
        allowed.extend(tokio::fs::canonicalize(directory).await.ok());
    }
    for BindMount { source, target, .. } in request_rules::bind_mounts(&request.mounts) {
        let field = format!("mounts[{target:?}].path");
        let shown = source.display();
        let path = tokio::fs::canonicalize(&source).await.map_err(|error| {
            ApiError::field(&field, format!("{shown} cannot be used on this machine: {error}"))
        })?;
        if !allowed.iter().any(|directory| path.starts_with(directory)) {
            let problem = format!("{shown} leads out of the directories that may be mounted");
            return Err(ApiError::field(&field, problem));
        }
        let path = path.to_str().ok_or_else(|| {
            ApiError::field(&field, format!("{shown} leads to a path that is no UTF-8"))
        })?;
        if let Some(mount) = request.mounts.get_mut(&target) {
            mount["path"] = path.into();
        }
    }
    Ok(())
}

/// What committing checks and resolves: resources, mounts, the image.
async fn prepare_commit(
    api: &Api,
    call: &Call,
    request: &mut ContainerRequest,
) -> Result<(), ApiError> {
    let binds = match (api.config().bind_mounts, call.caller.user.is_admin) {
        (BindMounts::Everyone, _) | (BindMounts::AdminsOnly, true) => {
            BindPolicy::Below(&api.config().bind_directories)
        }
        (BindMounts::AdminsOnly, false) => {
            BindPolicy::Refused("only administrators may mount paths of the host here")
        }
        (BindMounts::Nobody, _) => {
            BindPolicy::Refused("this site does not let containers see paths of the host")
        }
    };
    request_rules::check_commit(request, binds)?;
    resolve_binds(&api.config().bind_directories, request).await?;
    request_rules::mark_supervisor(request);
    let name = &request.container_image;
    match api.images().resolve(name).await {
        Ok(Some(image)) => {
            request.container_image = image.id;
            Ok(())
        }
        Ok(None) => Err(ApiError::Unprocessable(vec![format!(
            "container_image: no image named {name}; import it with `wharf image import`"
        )])),
        Err(words) => Err(ApiError::Failed(format!("cannot look up the image {name}: {words}"))),
    }
}
