//! API tokens. A secret is answered once, when it is made, and to the one who presents it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use model::{FieldError, JsonMap, Timestamp, TokenRecord, TokenUuid, UserUuid};
use serde_json::Value;
use store::{NewToken, Resource};

use super::{check_owner, reads};
use crate::call::Call;
use crate::error::ApiError;
use crate::render;
use crate::router::Api;

const RESOURCE: Resource = Resource::Tokens;
/// Most entries in a token's scopes.
const SCOPES_MAX: usize = 100;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/api_client_authorizations", get(list).post(create))
        .route("/arvados/v1/api_client_authorizations/current", get(current))
        .route("/arvados/v1/api_client_authorizations/{uuid}", get(read).delete(remove))
}

reads!(RESOURCE);

async fn current(call: Call) -> Result<Response, ApiError> {
    with_secret(&call, &call.caller.token, call.caller.presented.secret())
}

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    // Else a token for one path could make itself one for all.
    call.caller.require_unscoped("make tokens")?;
    let attributes = call.attributes(RESOURCE)?;
    let new = parse(&attributes, call.caller.user.uuid)?;
    if new.owner != call.caller.user.uuid {
        // To manage somebody's records is not to act as that one: a token also opens services.
        call.caller.require_admin("make tokens for others")?;
    }
    check_owner(&api, &call, new.owner.as_str()).await?;
    if new.expires_at.is_some_and(|at| at <= api.store().now()) {
        return Err(ApiError::field("expires_at", "is in the past"));
    }
    let (token, record) = api.store().create_token(new).await?;
    with_secret(&call, &record, token.secret())
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let no_such = || ApiError::no_such("token", &path.uuid);
    let uuid = TokenUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    let found = api.store().get(RESOURCE, uuid.as_str(), &call.caller.reader()).await?;
    let record = found.ok_or_else(no_such)?;
    api.store().deleting_as(call.caller.user.uuid).delete_token(uuid).await?;
    render::record(RESOURCE, &record, None, &call.caller)
}

pub(super) fn with_secret(
    call: &Call,
    record: &TokenRecord,
    secret: &str,
) -> Result<Response, ApiError> {
    let mut attributes = match serde_json::to_value(record) {
        Ok(Value::Object(attributes)) => attributes,
        _ => JsonMap::new(),
    };
    attributes.insert("api_token".to_owned(), secret.into());
    render::record(RESOURCE, &attributes, None, &call.caller)
}

fn parse(attributes: &JsonMap, by: UserUuid) -> Result<NewToken, ApiError> {
    let mut new =
        NewToken { owner: by, scopes: vec!["all".to_owned()], expires_at: None, made_by: by };
    let mut problems = Vec::new();
    for (name, value) in attributes {
        let problem = match (name.as_str(), value) {
            (_, Value::Null) => None,
            ("owner_uuid", value) => match value.as_str().map(UserUuid::parse) {
                Some(Ok(owner)) => {
                    new.owner = owner;
                    None
                }
                _ => Some("must be a user's identifier"),
            },
            ("expires_at", value) => match value.as_str().and_then(|text| text.parse().ok()) {
                Some(at) => {
                    let at: Timestamp = at;
                    new.expires_at = Some(at);
                    None
                }
                None => Some("must be a time such as 2026-01-31T12:00:00Z"),
            },
            ("scopes", value) => match scopes(value) {
                Some(scopes) => {
                    new.scopes = scopes;
                    None
                }
                None => Some(
                    "must be a list of \"all\" or entries such as \
                     \"GET /arvados/v1/container_requests/\"",
                ),
            },
            (
                "uuid"
                | "kind"
                | "etag"
                | "api_client_id"
                | "created_at"
                | "modified_at"
                | "modified_by_user_uuid",
                _,
            ) => None,
            _ => Some("is no attribute of tokens that can be set"),
        };
        if let Some(problem) = problem {
            let name: String = name.chars().take(60).collect();
            problems.push(FieldError::new(name, problem));
        }
    }
    if problems.is_empty() { Ok(new) } else { Err(problems.into()) }
}

fn scopes(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array().filter(|list| list.len() <= SCOPES_MAX)?;
    list.iter()
        .map(|scope| {
            let scope = scope.as_str()?;
            let known = scope == "all"
                || scope.split_once(' ').is_some_and(|(method, path)| {
                    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE")
                        && path.starts_with('/')
                });
            known.then(|| scope.to_owned())
        })
        .collect()
}
