//! `GET container_requests/{uuid}/connections`: `{"sockets": n}`, the WebSockets and raw connections that are open to a
//! service by way of this controller; before somebody stops it.

use axum::Json;
use axum::extract::{Path, State};
use model::ContainerUuid;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::resources::{ByUuid, writable_request};
use crate::router::Api;

/// Who knows what is open.
pub trait OpenSockets: Send + Sync {
    /// WebSockets and raw connections to one container.
    fn n_open(&self, container: ContainerUuid) -> u32;
}

/// For whoever may stop it.
pub(crate) async fn connections(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let request = writable_request(&api, &call, &path.uuid).await?;
    let sockets = request.container_uuid.map_or(0, |uuid| api.n_open_sockets(uuid));
    Ok(Json(json!({ "sockets": sockets })))
}
