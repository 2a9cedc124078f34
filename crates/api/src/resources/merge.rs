//! `users/merge`: all that one user has goes to another. A person does it with a token of each account, an administrator
//! by naming both.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::Method;
use model::UserUuid;
use serde_json::Value;
use store::{Merge, Reader, Resource, Rights, StoreError};

use crate::call::Call;
use crate::caller::{Caller, authenticate_token};
use crate::error::ApiError;
use crate::render;
use crate::router::Api;

const PATH: &str = "/arvados/v1/users/merge";
const RESOURCE: Resource = Resource::Users;

pub(super) fn routes() -> Router<Api> {
    Router::new().route(PATH, post(merge))
}

/// The two accounts.
struct Pair {
    old: UserUuid,
    new: UserUuid,
    /// Whom rights on the new owner are asked for.
    reader: Reader,
}

/// Answers the old user as it is then.
async fn merge(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let new_owner = text(&call, "new_owner_uuid").ok_or_else(|| {
        ApiError::field("new_owner_uuid", "must be sent: the user or project that gets the records")
    })?;
    let redirects = match call.body().get("redirect_to_new_user") {
        None => call.parameters.flag("redirect_to_new_user")?,
        Some(value) => value
            .as_bool()
            .ok_or_else(|| ApiError::field("redirect_to_new_user", "must be true or false"))?,
    };
    let Pair { old, new, reader } = pair(&api, &call).await?;
    if new_owner != new.as_str() {
        let rights = api.store().rights(&reader, new_owner).await?;
        if !rights.is_some_and(Rights::can_write) {
            let words = format!(
                "new_owner_uuid: {new_owner} is neither the new user nor a project where that one may write"
            );
            return Err(ApiError::Forbidden(words));
        }
    }
    let new_owner = new_owner.to_owned();
    let by = call.caller.user.uuid;
    let merge = Merge { old, new, new_owner, redirects, by };
    let old = match api.store().deleting_as(by).merge_users(merge).await {
        Err(StoreError::BadOwner(why)) => return Err(ApiError::Unprocessable(vec![why])),
        other => other?,
    };
    tracing::info!({ user.uuid = %old.uuid, new_user.uuid = %new, redirects }, "a user was merged into another");
    render::record(RESOURCE, &old, None, &call.caller)
}

async fn pair(api: &Api, call: &Call) -> Result<Pair, ApiError> {
    call.caller.require_unscoped("merge accounts")?;
    let by_uuid = (text(call, "old_user_uuid"), text(call, "new_user_uuid"));
    match (text(call, "new_user_token"), by_uuid) {
        (Some(_), (Some(_), _) | (_, Some(_))) => {
            let problem = "cannot be sent together with old_user_uuid or new_user_uuid";
            Err(ApiError::field("new_user_token", problem))
        }
        (Some(token), (None, None)) => {
            let other = authenticate_token(api.store(), token, &Method::POST, PATH).await?;
            other.require_unscoped("merge accounts")?;
            for caller in [&call.caller, &other] {
                refuse_programs(api, caller).await?;
            }
            let reader = other.reader();
            Ok(Pair { old: call.caller.user.uuid, new: other.user.uuid, reader })
        }
        (None, (Some(old), Some(new))) => {
            call.caller.require_admin("merge accounts of others")?;
            let (old, new) = (user(old, "old_user_uuid")?, user(new, "new_user_uuid")?);
            let is_admin = api.store().user(new).await?.is_some_and(|user| user.is_admin);
            Ok(Pair { old, new, reader: Reader::new(new, is_admin) })
        }
        (None, _) => Err(ApiError::field(
            "new_user_token",
            "must be sent, or old_user_uuid and new_user_uuid by an administrator",
        )),
    }
}

/// A container's program acts for its user, and does not give the whole account away.
async fn refuse_programs(api: &Api, caller: &Caller) -> Result<(), ApiError> {
    let presented = &caller.presented;
    if presented.container().is_none() && api.store().container_of_token(presented).await?.is_none()
    {
        return Ok(());
    }
    let words = "a program in a container cannot merge accounts with its own token";
    Err(ApiError::Forbidden(words.to_owned()))
}

fn user(text: &str, name: &str) -> Result<UserUuid, ApiError> {
    UserUuid::parse(text).map_err(|_not_one| ApiError::field(name, "must be a user's identifier"))
}

/// Beside each other in the body, or in the query as clients of the discovery document send it.
fn text<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    call.body().get(name).and_then(Value::as_str).or(call.parameters.text(name))
}
