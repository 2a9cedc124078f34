//! `nodes/{name}/cordon`: whether a machine takes new containers; for administrators.

use axum::Json;
use axum::extract::State;
use model::site::Cordon;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::router::Api;

#[derive(Deserialize)]
pub(crate) struct ByName {
    name: String,
}

/// `POST`: from now on it takes none. Answers since when, and who said so first.
pub(crate) async fn set(
    State(api): State<Api>,
    Path(ByName { name: node }): Path<ByName>,
    call: Call,
) -> Result<Json<Cordon>, ApiError> {
    require_admin(&call)?;
    // It would be kept for a machine that is none, by who mistyped one that goes on.
    check_name(&api, &node)?;
    let by = call.caller.user.uuid;
    let cordon = api.store().cordon(&node, by).await?;
    tracing::info!({ user.uuid = %by, node }, "the machine takes no new containers");
    Ok(Json(cordon))
}

/// `DELETE`: it takes them again; also under a name that it had before.
pub(crate) async fn lift(
    State(api): State<Api>,
    Path(ByName { name: node }): Path<ByName>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    require_admin(&call)?;
    let by = call.caller.user.uuid;
    let was_cordoned = api.store().uncordon(&node, by).await?;
    if was_cordoned {
        tracing::info!({ user.uuid = %by, node }, "the machine takes new containers again");
    } else {
        check_name(&api, &node)?;
    }
    Ok(Json(json!({ "was_cordoned": was_cordoned })))
}

fn check_name(api: &Api, node: &str) -> Result<(), ApiError> {
    let known = api.site().node();
    if node == known {
        return Ok(());
    }
    let shown: String = node.chars().take(80).collect();
    Err(ApiError::NotFound(format!(
        "no machine of this site is called {shown:?}; there is {known:?}"
    )))
}

fn require_admin(call: &Call) -> Result<(), ApiError> {
    call.caller.require_unscoped("say which machines take new containers")?;
    call.caller.require_admin("say which machines take new containers")
}
