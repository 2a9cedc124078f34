//! One-time sign-in to the dashboard: a link with a code, and the code for a session's token.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use model::Timestamp;
use serde_json::{Value, json};
use store::{NewCode, NewToken, Purpose};

use crate::call::{Call, parse_body};
use crate::error::ApiError;
use crate::router::Api;

/// `POST login_links`: a link that signs the caller in, once.
pub(crate) async fn create(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    call.caller.require_unscoped("sign in to the dashboard")?;
    let ttl = api.config().login_ttl;
    let code = NewCode {
        purpose: Purpose::Login,
        user: call.caller.user.uuid,
        token: call.caller.token.uuid,
        container: None,
        request: None,
        port: None,
        service_host: String::new(),
        ttl,
    };
    let code = api.store().create_code(code).await?;
    Ok(Json(json!({
        "url": format!("{}sign-in?code={code}", api.config().external_url),
        "expires_at": after(&api, ttl),
    })))
}

/// `POST login_links/redeem {"code"}`: a token for a session. The code is what proves who asks,
/// so there is no other credential.
pub(crate) async fn redeem(State(api): State<Api>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let body = parse_body(&body, false)?;
    let code = body.get("code").and_then(Value::as_str);
    let code = code.ok_or_else(|| ApiError::field("code", "must be the code of a sign-in link"))?;
    let grant = api.store().redeem_code(code, Purpose::Login, "").await?.ok_or_else(|| {
        ApiError::Forbidden(
            "this sign-in link was used before or has expired: make another one".to_owned(),
        )
    })?;
    let identity = grant.identity;
    // A session never outlives the token that it came from.
    let ends = after(&api, api.config().session_ttl);
    let ends = identity.token.expires_at.map_or(ends, |expiry| expiry.min(ends));
    let (token, record) = api
        .store()
        .create_token(NewToken {
            owner: identity.user.uuid,
            scopes: vec!["all".to_owned()],
            expires_at: Some(ends),
            made_by: identity.user.uuid,
        })
        .await?;
    Ok(Json(json!({
        "token": token.expose(),
        "user": identity.user,
        "expires_at": record.expires_at,
    })))
}

/// A time so long from now.
pub(crate) fn after(api: &Api, period: Duration) -> Timestamp {
    let now = api.store().now().as_jiff();
    Timestamp::from_jiff(now.checked_add(period).unwrap_or(now))
}
