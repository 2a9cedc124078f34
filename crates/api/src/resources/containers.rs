//! Containers: read by whoever can read a request that points at one, written by nobody here.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use store::Resource;

use super::reads;
use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

const RESOURCE: Resource = Resource::Containers;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/containers", get(list).post(refuse))
        .route("/arvados/v1/containers/current", get(current))
        .route("/arvados/v1/containers/{uuid}", get(read).put(refuse).patch(refuse).delete(refuse))
}

reads!(RESOURCE);

/// The container whose own token calls. No container has one yet; runners take exactly this 404
/// for "not inside a container".
async fn current(_call: Call) -> ApiError {
    ApiError::NotFound("Token is not associated with a container.".to_owned())
}

async fn refuse(_call: Call) -> ApiError {
    ApiError::Forbidden(
        "containers are made and changed by the system only: submit a container request, or set \
         its priority to 0 to cancel"
            .to_owned(),
    )
}
