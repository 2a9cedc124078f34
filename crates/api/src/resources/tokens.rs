//! API tokens. A secret is answered once, when it is made, and to the one who presents it.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use model::{FieldError, JsonMap, Timestamp, TokenRecord, TokenUuid, UserUuid};
use serde_json::Value;
use store::{NewToken, Resource};

use super::{check_owner, reads};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::router::Api;
use crate::settle::settle;

const RESOURCE: Resource = Resource::Tokens;
/// Most entries in a token's scopes.
const SCOPES_MAX: usize = 100;
const SCOPES_FORM: &str =
    "must be a list of \"all\" or entries such as \"GET /arvados/v1/container_requests/\"";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/api_client_authorizations", get(list).post(create))
        .route("/arvados/v1/api_client_authorizations/current", get(current))
        .route(
            "/arvados/v1/api_client_authorizations/create_system_auth",
            post(create_for_the_system),
        )
        .route(
            "/arvados/v1/api_client_authorizations/{uuid}",
            get(read).put(update).patch(update).delete(remove),
        )
}

reads!(RESOURCE);

async fn current(call: Call) -> Result<Response, ApiError> {
    with_secret(&call, &call.caller.token, call.caller.presented.secret())
}

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    // Else a token for one path could make itself one for all.
    call.caller.require_unscoped("make tokens")?;
    let by = call.caller.user.uuid;
    let said = Said { owner: by, scopes: vec!["all".to_owned()], expires_at: None };
    let Said { owner, scopes, expires_at } = said.of(&call.attributes(RESOURCE)?)?;
    let new = NewToken { owner, scopes, expires_at, made_by: by };
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

/// A token of the system user's, for programs of the site.
async fn create_for_the_system(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    call.caller.require_unscoped("make tokens")?;
    call.caller.require_admin("make tokens of the system user")?;
    let scopes = match call.option("scopes")? {
        Value::Null => vec!["all".to_owned()],
        sent => scopes(&sent).ok_or_else(|| ApiError::field("scopes", SCOPES_FORM))?,
    };
    let owner = api.store().system_user();
    let new = NewToken { owner, scopes, expires_at: None, made_by: call.caller.user.uuid };
    let (token, record) = api.store().create_token(new).await?;
    with_secret(&call, &record, token.secret())
}

/// What a token may do and until when; a time that has passed ends it. Its secret and its user stay.
async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    // Else a token for one path could give itself all.
    call.caller.require_unscoped("change tokens")?;
    let select = call.parameters.select(RESOURCE)?;
    let attributes = call.attributes(RESOURCE)?;
    settle(|| async {
        let before = find(&api, &call, &path.uuid).await?;
        let after = changed(&before, &attributes, api.store().now())?;
        if after == before {
            return render::record(RESOURCE, &before, select.as_deref(), &call.caller);
        }
        let saved = api.store().update_token(before, after, call.caller.user.uuid).await?;
        render::record(RESOURCE, &saved, select.as_deref(), &call.caller)
    })
    .await
}

fn changed(
    before: &TokenRecord,
    attributes: &JsonMap,
    now: Timestamp,
) -> Result<TokenRecord, ApiError> {
    let said = Said {
        owner: before.owner_uuid,
        scopes: before.scopes.clone(),
        expires_at: before.expires_at,
    };
    let Said { owner, scopes, expires_at } = said.of(attributes)?;
    if owner != before.owner_uuid {
        let problem = "cannot change: make a token for that user, and delete this one";
        return Err(ApiError::field("owner_uuid", problem));
    }
    // Containers end their programs' tokens so, and people those that somebody else has got hold of.
    if before.expires_at.is_some_and(|at| at <= now) && expires_at != before.expires_at {
        let problem = "has passed, and an expired token stays so: make a new one";
        return Err(ApiError::field("expires_at", problem));
    }
    Ok(TokenRecord { scopes, expires_at, ..before.clone() })
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let record = find(&api, &call, &path.uuid).await?;
    api.store().deleting_as(call.caller.user.uuid).delete_token(record.uuid).await?;
    render::record(RESOURCE, &record, None, &call.caller)
}

/// A token of the caller's, or for an administrator anybody's.
async fn find(api: &Api, call: &Call, uuid: &str) -> Result<TokenRecord, ApiError> {
    let no_such = || ApiError::no_such("token", uuid);
    TokenUuid::parse(uuid).map_err(|_not_one| no_such())?;
    let found = api.store().get(RESOURCE, uuid, &call.caller.reader()).await?;
    serde_json::from_value(found.ok_or_else(no_such)?.into())
        .map_err(|error| ApiError::Failed(format!("cannot read the token's record: {error}")))
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

/// What a client may say of a token.
struct Said {
    owner: UserUuid,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
}

impl Said {
    /// What is sent, over this. Null says nothing, but that a token does not expire.
    fn of(mut self, attributes: &JsonMap) -> Result<Self, ApiError> {
        let mut problems = Vec::new();
        for (name, value) in attributes {
            if let Err(problem) = self.take(name, value) {
                let name: String = name.chars().take(60).collect();
                problems.push(FieldError::new(name, problem));
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(problems.into()) }
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), &'static str> {
        match (name, value) {
            ("expires_at", Value::Null) => self.expires_at = None,
            (_, Value::Null) => {}
            ("owner_uuid", value) => {
                let owner = value.as_str().and_then(|text| UserUuid::parse(text).ok());
                self.owner = owner.ok_or("must be a user's identifier")?;
            }
            ("expires_at", value) => {
                let at: Option<Timestamp> = value.as_str().and_then(|text| text.parse().ok());
                self.expires_at = Some(at.ok_or("must be a time such as 2026-01-31T12:00:00Z")?);
            }
            ("scopes", value) => self.scopes = scopes(value).ok_or(SCOPES_FORM)?,
            (
                "uuid"
                | "kind"
                | "etag"
                | "api_client_id"
                | "created_at"
                | "modified_at"
                | "modified_by_user_uuid",
                _,
            ) => {}
            _ => return Err("is no attribute of tokens that can be set"),
        }
        Ok(())
    }
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
