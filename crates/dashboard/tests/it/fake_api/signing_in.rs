//! Tokens, codes and the ways to sign in.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use model::ApiToken;
use serde_json::{Value, json};

use super::records::user;
use super::{Answer, Api, TIME, USER, refuse};

pub(super) async fn authenticate(State(api): Api, Json(body): Json<Value>) -> Answer {
    match (body["username"].as_str(), body["password"].as_str()) {
        (Some("ada"), Some("correct horse")) => Ok(Json(api.new_token().1)),
        (Some("many"), _) => Err(refuse(StatusCode::TOO_MANY_REQUESTS, "too many tries")),
        _ => Err(refuse(StatusCode::UNAUTHORIZED, "name and password do not fit")),
    }
}

pub(super) async fn methods(State(api): Api) -> Json<Value> {
    let provider = api.records().provider;
    Json(json!({ "passwords": provider.is_none(), "provider": provider }))
}

pub(super) async fn openid_start(State(api): Api) -> Answer {
    match api.records().provider {
        None => Err(refuse(StatusCode::NOT_FOUND, "no provider")),
        Some("down") => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "it does not answer")),
        Some(_) => Ok(Json(json!({ "url": "https://id.example.com/auth?state=state-1",
            "state": "state-1", "nonce": "nonce-1", "verifier": "verifier-1" }))),
    }
}

pub(super) async fn openid_finish(State(api): Api, Json(body): Json<Value>) -> Answer {
    api.records().finished.push(body.clone());
    let is_right = body["code"] == "code-1" && body["verifier"] == "verifier-1";
    if !is_right || body["nonce"] != "nonce-1" {
        return Err(refuse(StatusCode::FORBIDDEN, "the code is not accepted"));
    }
    let admitted = api.records().admitted.unwrap_or("signed_in");
    let token = (admitted == "signed_in").then(|| api.new_token().0);
    Ok(Json(json!({ "admitted": admitted, "token": token, "user": user(),
        "expires_at": "2100-01-01T00:00:00.000000000Z" })))
}

pub(super) async fn openid_sign_out() -> Json<Value> {
    Json(json!({ "url": "https://id.example.com/end?client_id=wharf" }))
}

pub(super) async fn create_token(
    State(api): Api,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    api.records().asked_tokens.push(body["api_client_authorization"].clone());
    Ok(Json(api.new_token().1))
}

pub(super) async fn list_tokens(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let tokens = api.records().tokens.clone();
    let items: Vec<Value> = tokens
        .iter()
        .enumerate()
        .map(|(index, token)| {
            // The first was made to last, as a script's; the others are sessions.
            let end = (index > 0).then_some("2100-01-01T00:00:00.000000000Z");
            json!({
                "uuid": ApiToken::parse(token).unwrap().uuid(), "owner_uuid": USER, "created_at": TIME,
                "modified_at": TIME, "modified_by_user_uuid": USER, "scopes": ["all"], "expires_at": end,
            })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}

pub(super) async fn delete_token(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
) -> Answer {
    api.check(&headers)?;
    api.records().tokens.retain(|token| ApiToken::parse(token).unwrap().uuid().as_str() != uuid);
    Ok(Json(json!({})))
}

pub(super) async fn redeem(State(api): Api, Json(body): Json<Value>) -> Answer {
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let good = {
        let mut records = api.records();
        let found = records.codes.iter().position(|known| *known == code);
        found.map(|at| records.codes.remove(at)).is_some()
    };
    if !good {
        return Err(refuse(StatusCode::FORBIDDEN, "this code was used or is too old"));
    }
    let (token, record) = api.new_token();
    Ok(Json(json!({ "token": token, "user": user(), "expires_at": record["expires_at"] })))
}
