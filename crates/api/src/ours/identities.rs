//! `users/{uuid}/identities`: whom a user is at the providers that people sign in with; for administrators.

use axum::Json;
use axum::extract::State;
use model::UserUuid;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::resources::ByUuid;
use crate::router::Api;

/// `GET`: `{"items": [{"issuer", "subject", "created_at"}]}`.
pub(crate) async fn list(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let user = user(&api, &call, &path.uuid).await?;
    let identities = api.store().identities_of(user).await?;
    let items: Vec<Value> = identities
        .into_iter()
        .map(
            |it| json!({ "issuer": it.issuer, "subject": it.subject, "created_at": it.created_at }),
        )
        .collect();
    Ok(Json(json!({ "items": items })))
}

/// `DELETE`: who signs in at the provider as before is somebody new.
pub(crate) async fn forget(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let user = user(&api, &call, &path.uuid).await?;
    let n_forgotten = api.store().forget_identities(user).await?;
    tracing::info!({ user.uuid = %user, n_forgotten }, "whom a user is at the sign-in provider was forgotten");
    Ok(Json(json!({ "n_forgotten": n_forgotten })))
}

async fn user(api: &Api, call: &Call, uuid: &str) -> Result<UserUuid, ApiError> {
    call.caller.require_unscoped("manage whom users are at a provider")?;
    call.caller.require_admin("manage whom users are at a provider")?;
    let no_such = || ApiError::no_such("user", uuid);
    let uuid = UserUuid::parse(uuid).map_err(|_not_one| no_such())?;
    api.store().user(uuid).await?.map(|user| user.uuid).ok_or_else(no_such)
}
