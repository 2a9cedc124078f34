//! `visitors/{uuid}`: who uses a service and who was refused, for who manages the request.

use axum::Json;
use axum::extract::{Path, State};
use model::RequestUuid;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::resources::ByUuid;
use crate::resources::service_access::manageable;
use crate::router::Api;

/// `GET`: `{"seen_by": "this controller", "visits": [{"user_uuid", "guest_uuid", "port", "address", "since", "last", "n_requests",
/// "n_open"}], "refused": [{"port", "address", "why", "last", "n"}]}`. Each controller knows what went through it since it started.
pub(crate) async fn of(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    call.caller.require_unscoped("see who uses a service")?;
    let no_such = || ApiError::no_such("container request", &path.uuid);
    let uuid = RequestUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    manageable(&api, &call, uuid).await?;
    let request = api.store().request(uuid).await?.ok_or_else(no_such)?;
    let mut seen = match request.container_uuid {
        Some(container) => api.visitors().of(container),
        None => json!({ "visits": [], "refused": [] }),
    };
    seen["seen_by"] = "this controller".into();
    Ok(Json(seen))
}
