//! Log entries: read by whoever may read what they are about, written by users as they like.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use model::{FieldError, is_read_only};
use serde_json::Value;
use store::{NewLog, Resource};

use super::reads;
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::router::Api;

const RESOURCE: Resource = Resource::Logs;
/// Longest word or summary.
const TEXT_BYTES_MAX: usize = 1000;
/// Attributes clients send back as they got them.
const READ_ONLY: &[&str] = &["id", "owner_uuid", "object_kind", "object_owner_uuid"];

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/logs", get(list).post(create))
        .route("/arvados/v1/logs/{uuid}", get(read))
}

reads!(RESOURCE);

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let mut new = parse(&call)?;
    if let Some(object) = &new.object_uuid {
        // Else anybody could send events about records of others to those who watch them.
        let owner = owner_of(&api, &call, object).await?;
        let problem = "must be the identifier of a record that you may read";
        new.object_owner_uuid = Some(owner.ok_or_else(|| ApiError::field("object_uuid", problem))?);
    }
    let uuid = api.store().create_log(new, call.caller.user.uuid).await?;
    let found = api.store().get(RESOURCE, uuid.as_str(), &call.caller.reader()).await?;
    let record = found.ok_or_else(|| ApiError::no_such("log entry", uuid.as_str()))?;
    render::record(RESOURCE, &record, select.as_deref(), &call.caller)
}

/// Whose a record is, where the caller may read it.
async fn owner_of(api: &Api, call: &Call, uuid: &str) -> Result<Option<String>, ApiError> {
    let Some(resource) = Resource::of_uuid(uuid) else { return Ok(None) };
    let found = api.store().get(resource, uuid, &call.caller.reader()).await?;
    let owner = |record: model::JsonMap| record.get("owner_uuid")?.as_str().map(str::to_owned);
    Ok(found.and_then(owner))
}

fn parse(call: &Call) -> Result<NewLog, ApiError> {
    let mut new = NewLog::default();
    let mut problems = Vec::new();
    for (name, value) in call.attributes(RESOURCE)? {
        let problem = match (name.as_str(), value) {
            (read_only, _) if is_read_only(read_only, READ_ONLY) => None,
            (_, Value::Null) => None,
            ("event_type", Value::String(text)) => short(text, |text| new.event_type = text),
            ("summary", Value::String(text)) => short(text, |text| new.summary = Some(text)),
            ("object_uuid", Value::String(text)) => {
                short(text, |text| new.object_uuid = Some(text).filter(|text| !text.is_empty()))
            }
            ("event_at", Value::String(text)) => match text.parse() {
                Ok(at) => {
                    new.event_at = Some(at);
                    None
                }
                Err(_) => Some("must be a time such as 2026-01-31T12:00:00Z"),
            },
            ("properties", Value::Object(properties)) => {
                new.properties = properties;
                None
            }
            ("properties", _) => Some("must be an object"),
            ("event_type" | "summary" | "object_uuid" | "event_at", _) => Some("must be text"),
            _ => Some("is no attribute of log entries"),
        };
        if let Some(problem) = problem {
            problems.push(FieldError::new(name.chars().take(60).collect::<String>(), problem));
        }
    }
    if problems.is_empty() { Ok(new) } else { Err(problems.into()) }
}

fn short(text: String, put: impl FnOnce(String)) -> Option<&'static str> {
    if text.len() > TEXT_BYTES_MAX {
        return Some("is longer than 1000 bytes");
    }
    put(text);
    None
}
