//! `POST users/{uuid}/password {"password"}`: sets a user's password; null takes it away.

use axum::Json;
use axum::extract::State;
use model::UserUuid;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::password::{BYTES_MAX, CHARS_MIN, hash};
use crate::resources::ByUuid;
use crate::router::Api;
use crate::sign_in::in_turn;

/// By administrators, for others who have none yet or forgot theirs, and by users for themselves.
pub(crate) async fn set(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    call.caller.require_unscoped("set passwords")?;
    let no_such = || ApiError::no_such("user", &path.uuid);
    let uuid = UserUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    if uuid != call.caller.user.uuid {
        call.caller.require_admin("set the password of somebody else")?;
    }
    if api.store().user(uuid).await?.is_none() {
        return Err(no_such());
    }
    let hash = match call.body().get("password") {
        Some(Value::Null) => None,
        Some(Value::String(password)) => {
            check(password)?;
            let password = password.clone();
            let hash = in_turn(&api, move || hash(&password)).await?;
            Some(hash.map_err(|error| ApiError::Failed(error.to_string()))?)
        }
        _ => return Err(ApiError::field("password", "must be text, or null for none")),
    };
    let is_set = hash.is_some();
    api.store().set_password_hash(uuid, hash).await?;
    Ok(Json(json!({ "uuid": uuid, "has_password": is_set })))
}

fn check(password: &str) -> Result<(), ApiError> {
    let problem = if password.chars().count() < CHARS_MIN {
        format!("must have {CHARS_MIN} characters at least")
    } else if password.len() > BYTES_MAX {
        format!("must have {BYTES_MAX} bytes at most")
    } else {
        return Ok(());
    };
    Err(ApiError::field("password", problem))
}
