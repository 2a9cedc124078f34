//! `GET container_requests/{uuid}/connections`: `{"sockets": n}`, the WebSockets and raw connections that are open to a
//! service by way of any controller; before somebody stops it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::resources::{ByUuid, writable_request};
use crate::router::Api;

/// For whoever may stop it.
pub(crate) async fn connections(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let request = writable_request(&api, &call, &path.uuid).await?;
    let sockets = match request.container_uuid {
        Some(uuid) => api.visitors().of(uuid).await.sockets,
        None => 0,
    };
    Ok(Json(json!({ "sockets": sockets })))
}
