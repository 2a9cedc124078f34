//! Collections and their files.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::records::collection;
use super::{Answer, Api, Params, filtered, refuse};

pub(super) async fn list_collections(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Params,
) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().collections, &query)
}

pub(super) async fn create_collection(
    State(api): Api,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let made = collection(9, body["collection"]["name"].as_str().unwrap(), "");
    api.records().collections.push(made.clone());
    Ok(Json(made))
}

pub(super) async fn get_collection(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
) -> Answer {
    api.check(&headers)?;
    let found = api.records().collections.iter().find(|it| it["uuid"] == *uuid).cloned();
    found.map(Json).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))
}

pub(super) async fn read_file(
    State(api): Api,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
) -> Response {
    if let Err(refused) = api.check(&headers) {
        return refused.into_response();
    }
    let key = format!("{}/{}", place.0, place.1);
    match api.records().files.get(&key) {
        Some(bytes) => bytes.clone().into_response(),
        None => refuse(StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

pub(super) async fn write_file(
    State(api): Api,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Response {
    if let Err(refused) = api.check(&headers) {
        return refused.into_response();
    }
    api.records().files.insert(format!("{}/{}", place.0, place.1), body.to_vec());
    StatusCode::CREATED.into_response()
}
