//! `GET permissions/{uuid}`: the permission links to a record, for who manages it; and what such a link must be.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use model::filter::ListQuery;
use model::permission::CAN_LOGIN;
use model::{FieldError, GroupClass, GroupUuid, JsonMap, Level, Link, UserUuid};
use serde_json::Value;
use store::{Page, Resource};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::router::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/arvados/v1/permissions/{uuid}", get(list))
}

async fn list(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let uuid = path.uuid;
    let rights = api.store().rights(&call.reader()?, &uuid).await?;
    let rights = rights.ok_or_else(|| ApiError::no_such("record", &uuid))?;
    if !rights.can_manage() {
        return Err(ApiError::Forbidden(format!(
            "seeing who may do what needs can_manage on {uuid}"
        )));
    }
    let links = api.store().permissions_on(&uuid).await?;
    let items: Vec<JsonMap> = links
        .iter()
        .map(serde_json::to_value)
        .filter_map(|link| match link {
            Ok(Value::Object(link)) => Some(link),
            _ => None,
        })
        .collect();
    let available = i64::try_from(items.len()).ok();
    let query = ListQuery::all(Resource::Links.schema());
    Ok(render::list(Resource::Links, &query, Page { items, available }, &call.caller))
}

/// What a permission link must be, and that the caller may give what it gives.
///
/// # Errors
/// 403 where the caller does not manage the head.
pub(super) async fn check_link(
    api: &Api,
    call: &Call,
    link: &Link,
    problems: &mut Vec<FieldError>,
) -> Result<(), ApiError> {
    let mut refuse = |field: &str, problem: &str| problems.push(FieldError::new(field, problem));
    if Level::of_link_name(&link.name).is_none() && link.name != CAN_LOGIN {
        refuse("name", "must be can_read, can_write, can_manage or can_login");
    }
    if !is_holder(api, link.tail_uuid.as_deref()).await? {
        refuse("tail_uuid", "must be a user or a role");
    }
    let head = link.head_uuid.as_deref().unwrap_or_default();
    if !is_shareable(head) {
        refuse("head_uuid", "must be a user, a group, or what homes and projects hold");
        return Ok(());
    }
    // Trashed or not: taking a permission away must be possible.
    let reader = store::Reader { include_trash: true, ..call.caller.reader() };
    match api.store().rights(&reader, head).await? {
        None => refuse("head_uuid", "is nothing that you may see"),
        Some(rights) if !rights.can_manage() || is_own_account(call, head) => {
            return Err(ApiError::Forbidden(format!(
                "head_uuid: saying who may do what needs can_manage on {head}"
            )));
        }
        Some(_) => {}
    }
    Ok(())
}

/// One's own account is an administrator's to share.
fn is_own_account(call: &Call, head: &str) -> bool {
    head == call.caller.user.uuid.as_str() && !call.caller.user.is_admin
}

fn is_shareable(head: &str) -> bool {
    Resource::of_uuid(head)
        .is_some_and(|resource| resource == Resource::Users || Resource::OWNED.contains(&resource))
}

/// Whether rights can be given to it: a user or a role that is there.
pub(super) async fn is_holder(api: &Api, tail: Option<&str>) -> Result<bool, ApiError> {
    let tail = tail.unwrap_or_default();
    if let Ok(user) = UserUuid::parse(tail) {
        return Ok(api.store().user(user).await?.is_some());
    }
    let Ok(group) = GroupUuid::parse(tail) else { return Ok(false) };
    let group = api.store().group(group).await?;
    Ok(group.is_some_and(|group| group.group_class == GroupClass::Role))
}
