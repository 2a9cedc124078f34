//! Registered workflows: kept as they are sent, for clients that run them.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use model::{FieldError, JsonMap, Workflow, WorkflowUuid, is_read_only};
use serde_json::Value;
use store::Resource;

use super::{check_owner, reads};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::rights;
use crate::router::Api;
use crate::settle::settle;

const RESOURCE: Resource = Resource::Workflows;
/// Longest name.
const NAME_BYTES_MAX: usize = 1000;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/workflows", get(list).post(create))
        .route("/arvados/v1/workflows/{uuid}", get(read).put(update).patch(update).delete(remove))
}

reads!(RESOURCE);

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let (by, now) = (call.caller.user.uuid, api.store().now());
    let blank = Workflow {
        uuid: api.store().new_workflow_uuid()?,
        owner_uuid: by.to_string(),
        created_at: now,
        modified_at: now,
        modified_by_user_uuid: by,
        name: String::new(),
        description: None,
        definition: None,
        collection_uuid: None,
    };
    let workflow = changed(&blank, &call.attributes(RESOURCE)?)?;
    check_owner(&api, &call, &workflow.owner_uuid).await?;
    let workflow = api.store().create_workflow(workflow, by).await?;
    render::record(RESOURCE, &workflow, select.as_deref(), &call.caller)
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let attributes = call.attributes(RESOURCE)?;
    settle(|| async {
        let before = find(&api, &call, &path.uuid).await?;
        let after = changed(&before, &attributes)?;
        if after.owner_uuid != before.owner_uuid {
            check_owner(&api, &call, &after.owner_uuid).await?;
        }
        if after == before {
            return render::record(RESOURCE, &before, select.as_deref(), &call.caller);
        }
        let saved = api.store().update_workflow(before, after, call.caller.user.uuid).await?;
        render::record(RESOURCE, &saved, select.as_deref(), &call.caller)
    })
    .await
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let workflow = find(&api, &call, &path.uuid).await?;
    api.store().deleting_as(call.caller.user.uuid).delete_workflow(workflow.uuid).await?;
    render::record(RESOURCE, &workflow, None, &call.caller)
}

/// The workflow, where the caller may change it.
async fn find(api: &Api, call: &Call, uuid: &str) -> Result<Workflow, ApiError> {
    rights::require_write(api, &call.caller.reader(), RESOURCE, uuid).await?;
    let no_such = || ApiError::no_such("workflow", uuid);
    let parsed = WorkflowUuid::parse(uuid).map_err(|_not_one| no_such())?;
    api.store().workflow(parsed).await?.ok_or_else(no_such)
}

/// The workflow with the attributes that were sent.
fn changed(before: &Workflow, attributes: &JsonMap) -> Result<Workflow, ApiError> {
    let mut workflow = before.clone();
    let mut problems = Vec::new();
    for (name, value) in attributes {
        let text = match value {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            _ if is_read_only(name, &[]) => continue,
            _ => {
                problems.push(FieldError::new(name, "must be text"));
                continue;
            }
        };
        match name.as_str() {
            "name" => match text.unwrap_or_default() {
                long if long.len() > NAME_BYTES_MAX => {
                    let problem = format!("is longer than {NAME_BYTES_MAX} bytes");
                    problems.push(FieldError::new(name, problem));
                }
                text => workflow.name = text,
            },
            "description" => workflow.description = text,
            "definition" => workflow.definition = text,
            "collection_uuid" => match text.filter(|text| !text.is_empty()) {
                Some(uuid) if !model::uuid::looks_like_uuid(&uuid) => {
                    problems.push(FieldError::new(name, "is no identifier"));
                }
                uuid => workflow.collection_uuid = uuid,
            },
            "owner_uuid" => workflow.owner_uuid = text.unwrap_or(workflow.owner_uuid),
            read_only if is_read_only(read_only, &[]) => {}
            other => {
                let name: String = other.chars().take(60).collect();
                problems.push(FieldError::new(name, "is no attribute of workflows"));
            }
        }
    }
    if problems.is_empty() { Ok(workflow) } else { Err(problems.into()) }
}
