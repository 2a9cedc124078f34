//! The Arvados resources: one file each, and what lists and reads have in common.

pub(crate) mod collections;
mod commit;
mod computed_permissions;
mod container_requests;
mod containers;
mod contents;
mod empty;
mod groups;
mod keep_services;
mod links;
mod log_files;
mod logs;
mod merge;
pub(crate) mod missing;
mod permissions;
pub(crate) mod service_access;
mod site;
mod tokens;
mod users;
mod workflows;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use model::filter::ListQuery;
use serde::Deserialize;
use store::{NameClash, Page, Resource};

use crate::call::Call;
use crate::error::ApiError;
use crate::render;
use crate::rights;
use crate::router::Api;

pub(crate) use crate::rights::check_owner;
pub(crate) use container_requests::writable as writable_request;

/// All resource routes.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .merge(container_requests::routes())
        .merge(containers::routes())
        .merge(log_files::routes())
        .merge(groups::routes())
        .merge(contents::routes())
        .merge(collections::routes())
        .merge(keep_services::routes())
        .merge(links::routes())
        .merge(permissions::routes())
        .merge(computed_permissions::routes())
        .merge(users::routes())
        .merge(merge::routes())
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
    let page = api.store().list(resource, &query, &call.reader()?).await?;
    list_of_page(resource, api, call, &query, page).await
}

/// A page as it is answered.
pub(crate) async fn list_of_page(
    resource: Resource,
    api: &Api,
    call: &Call,
    query: &ListQuery,
    page: Page,
) -> Result<Response, ApiError> {
    let mut items = page.items;
    rights::add(resource, api, call, &mut items).await?;
    Ok(render::list(resource, query, Page { items, ..page }, &call.caller))
}

/// One record of a resource.
pub(crate) async fn read(
    resource: Resource,
    api: &Api,
    call: &Call,
    uuid: &str,
) -> Result<Response, ApiError> {
    let select = call.parameters.select(resource)?;
    let found = api.store().get(resource, uuid, &call.reader()?).await?;
    let record = found.ok_or_else(|| ApiError::no_such(what(resource), uuid))?;
    let mut items = [render::selected(record, select.as_deref())];
    rights::add(resource, api, call, &mut items).await?;
    let [record] = items;
    render::record(resource, &record, None, &call.caller)
}

/// The resource in words.
pub(crate) fn what(resource: Resource) -> &'static str {
    match resource {
        Resource::ContainerRequests => "container request",
        Resource::Containers => "container",
        Resource::Links => "link",
        Resource::Users => "user",
        Resource::Tokens => "token",
        Resource::Groups => "group",
        Resource::Collections => "collection",
        Resource::Workflows => "workflow",
        Resource::Logs => "log entry",
    }
}

/// What shall happen where the owner has something of that name already.
pub(crate) fn name_clash(call: &Call) -> Result<NameClash, ApiError> {
    let rename = call.parameters.flag("ensure_unique_name")?;
    Ok(if rename { NameClash::Rename } else { NameClash::Refuse })
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
