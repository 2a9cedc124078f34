//! Container requests: submitting, changing, cancelling.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::request_rules::{self, Origin};
use model::{ContainerRequest, RequestState, RequestUuid};
use serde_json::json;
use store::Resource;

use super::{check_owner, commit, reads};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::ours::extend;
use crate::render;
use crate::rights;
use crate::router::Api;
use crate::settle::settle;

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
    // One that a container's program makes belongs to that container's work.
    let parent = api.store().container_of_token(&call.caller.presented).await?;
    request.requesting_container_uuid = parent.map(|parent| parent.uuid);
    let resolved = match request.state {
        RequestState::Committed => Some(commit::resolve(&api, &call, &mut request).await?),
        _ => None,
    };
    let request = api.store().create_request(request, resolved, by).await?;
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
    settle(|| async {
        let before = writable(&api, &call, &path.uuid).await?;
        let mut after = request_rules::change_request(&before, &attributes)?;
        if after.owner_uuid != before.owner_uuid {
            check_owner(&api, &call, &after.owner_uuid).await?;
        }
        extend::check_change(&api, &before, &mut after)?;
        let commits =
            before.state == RequestState::Uncommitted && after.state == RequestState::Committed;
        let resolved = match commits {
            true => Some(commit::resolve(&api, &call, &mut after).await?),
            false => None,
        };
        if after == before {
            return render::record(RESOURCE, &before, select.as_deref(), &call.caller);
        }
        let saved = api.store().update_request(before, after, resolved, by).await?;
        render::record(RESOURCE, &saved, select.as_deref(), &call.caller)
    })
    .await
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let request = writable(&api, &call, &path.uuid).await?;
    api.store().deleting_as(call.caller.user.uuid).delete_request(request.uuid).await?;
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
