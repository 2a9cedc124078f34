//! Resources of Arvados that there is nothing of here: lists that are empty, so that pages which show them do not fail.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::router::Api;

pub(super) fn routes() -> Router<Api> {
    let empty = |kind: &'static str| get(move |call: Call| list(kind, call));
    Router::new()
        .route("/arvados/v1/virtual_machines", empty("arvados#virtualMachineList"))
        .route("/arvados/v1/virtual_machines/get_all_logins", empty("arvados#HashList"))
        .route("/arvados/v1/virtual_machines/{uuid}", get(read))
        .route("/arvados/v1/authorized_keys", empty("arvados#authorizedKeyList"))
        .route("/arvados/v1/authorized_keys/{uuid}", get(read))
        .route("/arvados/v1/credentials", empty("arvados#credentialList"))
        .route("/arvados/v1/credentials/{uuid}", get(read))
        .route("/arvados/v1/user_agreements", empty("arvados#userAgreementList"))
        .route("/arvados/v1/user_agreements/signatures", empty("arvados#linkList"))
        .route("/arvados/v1/user_agreements/{uuid}", get(read))
}

async fn list(kind: &'static str, call: Call) -> Result<Json<Value>, ApiError> {
    let limit = call.parameters.limit()?;
    let mut list = json!({
        "kind": kind,
        "etag": "",
        "self_link": "",
        "offset": call.parameters.number("offset")?.unwrap_or(0),
        "limit": limit,
        "items": [],
    });
    if call.parameters.text("count") != Some("none") {
        list["items_available"] = 0.into();
    }
    Ok(Json(list))
}

async fn read(Path(path): Path<super::ByUuid>, _call: Call) -> ApiError {
    ApiError::no_such("record", &path.uuid)
}
