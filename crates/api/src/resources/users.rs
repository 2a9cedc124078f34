//! Users.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, header};
use model::{FieldError, JsonMap, User, UserUuid, is_read_only};
use serde_json::Value;
use store::{NewUser, Resource};

use super::reads;
use crate::call::{Call, parse_body};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::router::Api;
use crate::settle::settle;
use crate::sign_in::sign_in;

const RESOURCE: Resource = Resource::Users;
/// Longest name or address.
const TEXT_BYTES_MAX: usize = 255;
/// Attributes that the user may change; the rest is for administrators.
const OWN: &[&str] = &["prefs", "first_name", "last_name"];
/// Attributes clients send back as they got them.
const READ_ONLY: &[&str] = &[
    "owner_uuid",
    "identity_url",
    "full_name",
    "is_invited",
    "writable_by",
    "can_write",
    "can_manage",
];

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/users", get(list).post(create))
        .route("/arvados/v1/users/current", get(current))
        .route("/arvados/v1/users/system", get(system))
        .route("/arvados/v1/users/authenticate", post(authenticate))
        .route("/arvados/v1/users/setup", post(setup))
        .route("/arvados/v1/users/{uuid}", get(read).put(update).patch(update).delete(remove))
        .route("/arvados/v1/users/{uuid}/activate", post(activate))
        .route("/arvados/v1/users/{uuid}/unsetup", post(unsetup))
}

reads!(RESOURCE);

async fn current(call: Call) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    render::record(RESOURCE, &call.caller.user, select.as_deref(), &call.caller)
}

/// The user that what is the site's own belongs to.
async fn system(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    crate::resources::read(RESOURCE, &api, &call, api.store().system_user().as_str()).await
}

/// Signs in with name and password, which come as JSON or as a form; no other credential. Answers a token's record
/// with its secret.
async fn authenticate(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let body = parse_body(&body, is_form)?;
    let text = |name: &str| {
        let value = body.get(name).and_then(Value::as_str);
        value.ok_or_else(|| ApiError::field(name, "must be sent, as text"))
    };
    let (user, token, record) = sign_in(&api, text("username")?, text("password")?).await?;
    tracing::info!({ user.uuid = %user.uuid, token.uuid = %record.uuid }, "signed in with a password");
    let mut attributes = match serde_json::to_value(&record) {
        Ok(Value::Object(attributes)) => attributes,
        _ => JsonMap::new(),
    };
    attributes.insert("api_token".to_owned(), token.secret().into());
    let caller = Caller { user, token: record, presented: token };
    render::record(Resource::Tokens, &attributes, None, &caller)
}

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    call.caller.require_admin("make users")?;
    make(&api, &call, &call.attributes(RESOURCE)?).await
}

async fn make(api: &Api, call: &Call, attributes: &JsonMap) -> Result<Response, ApiError> {
    let mut user = User { is_active: true, ..blank(&call.caller.user) };
    apply(&mut user, attributes)?;
    if user.username.is_empty() {
        let problem = "must not be empty: letters, digits, - and _, such as \"ada\"";
        return Err(ApiError::field("username", problem));
    }
    let User { email, username, first_name, last_name, is_admin, is_active, .. } = user;
    let new = NewUser { email, username, first_name, last_name, is_admin, is_active };
    let user = api.store().create_user(new).await?;
    render::record(RESOURCE, &user, None, &call.caller)
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let attributes = call.attributes(RESOURCE)?;
    change(&api, &call, &path.uuid, &attributes).await
}

/// An account that was made may act; who may already, stays so.
async fn activate(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    if path.uuid != call.caller.user.uuid.as_str() {
        call.caller.require_admin("activate others")?;
    }
    change(&api, &call, &path.uuid, &active(true)).await
}

/// An account may act no more; its tokens hold no more while that is so.
async fn unsetup(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    call.caller.require_admin("take accounts away")?;
    change(&api, &call, &path.uuid, &active(false)).await
}

/// Makes sure of an account: one that is there by `uuid`, else a new one of the attributes of `user`. There are neither shell
/// nodes that it could have a login on, nor mail to tell of it.
async fn setup(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    call.caller.require_admin("set accounts up")?;
    let machine = call.body().get("vm_uuid").and_then(Value::as_str);
    if machine.or(call.parameters.text("vm_uuid")).is_some() {
        return Err(ApiError::field("vm_uuid", "is no shell node: there are none here"));
    }
    if call.option("send_notification_email")? == Value::Bool(true) {
        let problem = "must be false: no mail is sent from here";
        return Err(ApiError::field("send_notification_email", problem));
    }
    let uuid = call.body().get("uuid").and_then(Value::as_str).or(call.parameters.text("uuid"));
    if let Some(uuid) = uuid {
        return change(&api, &call, uuid, &active(true)).await;
    }
    // Clients of the discovery document send it in the query.
    match call.option("user")? {
        Value::Object(attributes) => make(&api, &call, &attributes).await,
        Value::Null => make(&api, &call, &call.attributes(RESOURCE)?).await,
        _ => Err(ApiError::field("user", "must be an object")),
    }
}

/// Deletes an account that nothing belongs to; the record as it was.
async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    call.caller.require_admin("delete users")?;
    let by = call.caller.user.uuid;
    if path.uuid == by.as_str() {
        let words = "nobody deletes their own account: another administrator does";
        return Err(ApiError::Forbidden(words.to_owned()));
    }
    let user = find(&api, &path.uuid).await?;
    api.store().deleting_as(by).delete_user(user.uuid).await?;
    tracing::info!({ user.uuid = %user.uuid, username = user.username }, "a user was deleted");
    render::record(RESOURCE, &user, None, &call.caller)
}

fn active(is_active: bool) -> JsonMap {
    let mut attributes = JsonMap::new();
    attributes.insert("is_active".to_owned(), is_active.into());
    attributes
}

/// The user with this identifier.
async fn find(api: &Api, uuid: &str) -> Result<User, ApiError> {
    let no_such = || ApiError::no_such("user", uuid);
    let known = UserUuid::parse(uuid).map_err(|_not_one| no_such())?;
    api.store().user(known).await?.ok_or_else(no_such)
}

async fn change(
    api: &Api,
    call: &Call,
    uuid: &str,
    attributes: &JsonMap,
) -> Result<Response, ApiError> {
    settle(|| async {
        let before = find(api, uuid).await?;
        let mut after = before.clone();
        apply(&mut after, attributes)?;
        if !call.caller.user.is_admin {
            check_own(&before, &after, call.caller.user.uuid)?;
        }
        if before.uuid == api.store().system_user() && !(after.is_active && after.is_admin) {
            let words = "the system user is always active and an administrator";
            return Err(ApiError::Forbidden(words.to_owned()));
        }
        if after == before {
            return render::record(RESOURCE, &before, None, &call.caller);
        }
        let saved = api.store().update_user(before, after, call.caller.user.uuid).await?;
        render::record(RESOURCE, &saved, None, &call.caller)
    })
    .await
}

/// What a user may change: their own settings and name.
fn check_own(before: &User, after: &User, caller: UserUuid) -> Result<(), ApiError> {
    let allowed = User {
        prefs: after.prefs.clone(),
        first_name: after.first_name.clone(),
        last_name: after.last_name.clone(),
        ..before.clone()
    };
    if before.uuid == caller && allowed == *after {
        return Ok(());
    }
    let words = format!("only an administrator may change more of a user than their own {OWN:?}");
    Err(ApiError::Forbidden(words))
}

fn blank(like: &User) -> User {
    User {
        email: String::new(),
        username: String::new(),
        first_name: String::new(),
        last_name: String::new(),
        identity_url: None,
        is_active: false,
        is_admin: false,
        prefs: JsonMap::new(),
        ..like.clone()
    }
}

fn apply(user: &mut User, attributes: &JsonMap) -> Result<(), ApiError> {
    let mut problems = Vec::new();
    for (name, value) in attributes {
        let result = match name.as_str() {
            "email" => text(value, &mut user.email),
            "username" => text(value, &mut user.username).and_then(|()| {
                let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if user.username.chars().all(sound) {
                    Ok(())
                } else {
                    Err("may have letters, digits, hyphens, underscores and dots only")
                }
            }),
            "first_name" => text(value, &mut user.first_name),
            "last_name" => text(value, &mut user.last_name),
            "is_active" => flag(value, &mut user.is_active),
            "is_admin" => flag(value, &mut user.is_admin),
            "prefs" => match value {
                Value::Object(map) => {
                    user.prefs.clone_from(map);
                    Ok(())
                }
                _ => Err("must be an object"),
            },
            read_only if is_read_only(read_only, READ_ONLY) => Ok(()),
            _ => Err("is no attribute of users"),
        };
        if let Err(problem) = result {
            let name: String = name.chars().take(60).collect();
            problems.push(FieldError::new(name, problem));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}

fn text(value: &Value, into: &mut String) -> Result<(), &'static str> {
    match value {
        Value::Null => into.clear(),
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            return Err("is longer than 255 bytes");
        }
        Value::String(text) if text.chars().any(char::is_control) => {
            return Err("must not contain control characters");
        }
        Value::String(text) => into.clone_from(text),
        _ => return Err("must be text"),
    }
    Ok(())
}

fn flag(value: &Value, into: &mut bool) -> Result<(), &'static str> {
    *into = value.as_bool().ok_or("must be true or false")?;
    Ok(())
}
