//! `computed_permissions`: who may do what with what, for administrators. Read page by page behind the last entry, as the
//! SDK does, and never by an offset.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use model::filter;
use serde_json::{Value, json};
use store::schema::COMPUTED_PERMISSIONS;

use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/arvados/v1/computed_permissions", get(list))
}

async fn list(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    call.caller.require_admin("list what others may do")?;
    let parameters = &call.parameters;
    if parameters.number("offset")?.unwrap_or(0) != 0 {
        let problem = "must be 0: filter for what comes behind the last entry";
        return Err(ApiError::field("offset", problem));
    }
    if parameters.count_asked()? == Some(true) {
        return Err(ApiError::field("count", "must be none: entries are not counted"));
    }
    let select = filter::parse_select(&COMPUTED_PERMISSIONS, &parameters.texts("select")?)?;
    let query =
        parameters.query_of(&COMPUTED_PERMISSIONS, &parameters.json("filters")?, select, false)?;
    let items = api.store().computed_permissions(&query).await?;
    Ok(Json(json!({
        "kind": "arvados#computedPermissionList",
        "etag": "",
        "self_link": "",
        "offset": 0,
        "limit": query.limit,
        "items": items,
    })))
}
