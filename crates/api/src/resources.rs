//! The Arvados resources: one file each, and what lists and reads have in common.

pub(crate) mod collections;
mod commit;
mod container_requests;
mod containers;
mod empty;
mod keep_services;
mod links;
mod log_files;
mod logs;
mod site;
mod tokens;
mod users;
mod workflows;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use store::Resource;

use crate::call::Call;
use crate::error::ApiError;
use crate::render;
use crate::router::Api;

/// How often a write is tried again when somebody else wrote the same record in between.
pub(crate) const TRIES_MAX: u32 = 8;

/// All resource routes.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .merge(container_requests::routes())
        .merge(containers::routes())
        .merge(log_files::routes())
        .merge(collections::routes())
        .merge(keep_services::routes())
        .merge(links::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(workflows::routes())
        .merge(logs::routes())
        .merge(empty::routes())
        .route("/arvados/v1/config", get(site::config))
        .route("/arvados/v1/vocabulary", get(site::vocabulary))
}

/// The identifier in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct ByUuid {
    pub(crate) uuid: String,
}

/// A page of a resource.
pub(crate) async fn list(resource: Resource, api: &Api, call: &Call) -> Result<Response, ApiError> {
    let query = call.parameters.list_query(resource)?;
    let page = api.store().list(resource, &query, &call.caller.reader()).await?;
    Ok(render::list(resource, &query, page, &call.caller))
}

/// One record of a resource.
pub(crate) async fn read(
    resource: Resource,
    api: &Api,
    call: &Call,
    uuid: &str,
) -> Result<Response, ApiError> {
    let select = call.parameters.select(resource)?;
    let found = api.store().get(resource, uuid, &call.caller.reader()).await?;
    let record = found.ok_or_else(|| ApiError::no_such(what(resource), uuid))?;
    render::record(resource, &record, select.as_deref(), &call.caller)
}

/// The resource in words.
pub(crate) fn what(resource: Resource) -> &'static str {
    match resource {
        Resource::ContainerRequests => "container request",
        Resource::Containers => "container",
        Resource::Links => "link",
        Resource::Users => "user",
        Resource::Tokens => "token",
        Resource::Collections => "collection",
        Resource::Workflows => "workflow",
        Resource::Logs => "log entry",
    }
}

/// The owner a new or changed record shall have.
///
/// # Errors
/// 422 where there is no such user; 403 where the caller may not give it to them.
pub(crate) async fn check_owner(api: &Api, call: &Call, owner_uuid: &str) -> Result<(), ApiError> {
    if owner_uuid == call.caller.user.uuid.as_str() {
        return Ok(());
    }
    let Ok(owner) = model::UserUuid::parse(owner_uuid) else {
        let problem = format!("{owner_uuid:?} is no user; projects are not supported yet");
        return Err(ApiError::field("owner_uuid", problem));
    };
    if !call.caller.user.is_admin {
        let words = format!("owner_uuid: you may not make or give records to {owner}");
        return Err(ApiError::Forbidden(words));
    }
    match api.store().user(owner).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::field("owner_uuid", format!("{owner} does not exist"))),
    }
}

/// Handlers that only differ in the resource.
macro_rules! reads {
    ($resource:expr) => {
        async fn list(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
            crate::resources::list($resource, &api, &call).await
        }

        async fn read(
            State(api): State<Api>,
            Path(path): Path<crate::resources::ByUuid>,
            call: Call,
        ) -> Result<Response, ApiError> {
            crate::resources::read($resource, &api, &call, &path.uuid).await
        }
    };
}
use reads;
