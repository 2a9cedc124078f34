//! `GET site`: machines, volumes, the proxy's figures and the config, for administrators.

use axum::Json;
use axum::extract::State;
use model::site::Site;

use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// What `model::site` says, as the process that answers knows it.
pub(crate) async fn site(State(api): State<Api>, call: Call) -> Result<Json<Site>, ApiError> {
    call.caller.require_unscoped("see how the site does")?;
    call.caller.require_admin("see how the site does")?;
    Ok(Json(api.site().site().await?))
}
