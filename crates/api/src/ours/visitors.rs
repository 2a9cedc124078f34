//! `visitors/{uuid}`: who uses a service and who was refused, for who manages the request.

use axum::Json;
use axum::extract::State;
use model::RequestUuid;
use model::visitors::Visitors;

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::resources::ByUuid;
use crate::resources::service_access::manageable;
use crate::router::Api;

/// `GET`: `{"visits": [{"user_uuid", "guest_uuid", "port", "address", "since", "last", "n_requests", "n_open"}], "refused":
/// [{"port", "address", "why", "last", "n"}], "sockets", "n_silent"}`, of all controllers together, since each of them started;
/// `n_silent` of them did not answer.
pub(crate) async fn of(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Visitors>, ApiError> {
    call.caller.require_unscoped("see who uses a service")?;
    let no_such = || ApiError::no_such("container request", &path.uuid);
    let uuid = RequestUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    manageable(&api, &call, uuid).await?;
    let request = api.store().request(uuid).await?.ok_or_else(no_such)?;
    Ok(Json(match request.container_uuid {
        Some(container) => api.visitors().of(container).await,
        None => Visitors::default(),
    }))
}
