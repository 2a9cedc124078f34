//! Records as the wire has them: `kind`, `etag`, and attributes that are computed.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use model::JsonMap;
use model::filter::ListQuery;
use serde::Serialize;
use serde_json::{Value, json};
use store::{Page, Resource, etag};

use crate::caller::Caller;
use crate::error::ApiError;

/// Attributes that are no columns: answered always, and accepted in `select`.
pub(crate) fn computed(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Users => &["full_name", "is_invited", "writable_by", "can_write", "can_manage"],
        Resource::Groups => &["writable_by", "can_write", "can_manage"],
        Resource::Links => &["head_kind", "tail_kind"],
        Resource::Tokens => {
            &["api_token", "created_by_ip_address", "last_used_at", "last_used_by_ip_address"]
        }
        Resource::Collections => &["unsigned_manifest_text"],
        Resource::Logs => &["object_kind"],
        Resource::Containers => crate::lives::ATTRIBUTES,
        Resource::ContainerRequests | Resource::Workflows => &[],
    }
}

/// A record as the caller sees it.
pub(crate) fn object(resource: Resource, mut attributes: JsonMap, caller: &Caller) -> Value {
    let etag = own_etag(resource, &attributes);
    match resource {
        Resource::Users => add_to_user(&mut attributes, caller),
        Resource::Links => {
            for (kind, of) in [("head_kind", "head_uuid"), ("tail_kind", "tail_uuid")] {
                let value = attributes.get(of).and_then(Value::as_str).and_then(kind_of);
                attributes.insert(kind.to_owned(), value.into());
            }
        }
        Resource::Tokens | Resource::Containers => {
            for name in computed(resource) {
                attributes.entry(*name).or_insert(Value::Null);
            }
        }
        Resource::Logs => {
            let kind = attributes.get("object_uuid").and_then(Value::as_str).and_then(kind_of);
            attributes.insert("object_kind".to_owned(), kind.into());
        }
        // The rights on a group are looked up for a page at once (`rights`).
        Resource::ContainerRequests
        | Resource::Groups
        | Resource::Collections
        | Resource::Workflows => {}
    }
    let mut object = JsonMap::new();
    object.insert("kind".to_owned(), resource.kind().into());
    object.insert("etag".to_owned(), etag.into());
    object.extend(attributes);
    object.into()
}

/// A record in its own type as the caller sees it, with the selected attributes.
///
/// # Errors
/// Never for our own types; said rather than panicked.
pub(crate) fn record(
    resource: Resource,
    record: &impl Serialize,
    select: Option<&[&'static str]>,
    caller: &Caller,
) -> Result<Response, ApiError> {
    let value = serde_json::to_value(record)
        .map_err(|error| ApiError::Failed(format!("cannot write the record: {error}")))?;
    let Value::Object(attributes) = value else {
        return Err(ApiError::Failed("the record is no object".to_owned()));
    };
    Ok(Json(object(resource, selected(attributes, select), caller)).into_response())
}

/// The selected attributes.
pub(crate) fn selected(mut attributes: JsonMap, select: Option<&[&'static str]>) -> JsonMap {
    if let Some(names) = select {
        attributes.retain(|name, _| names.contains(&name.as_str()));
    }
    attributes
}

/// A list.
pub(crate) fn list(resource: Resource, query: &ListQuery, page: Page, caller: &Caller) -> Response {
    let items: Vec<Value> =
        page.items.into_iter().map(|item| object(resource, item, caller)).collect();
    list_of(resource, query, &items, page.available)
}

/// A list of what was made ready.
pub(crate) fn list_of(
    resource: Resource,
    query: &ListQuery,
    items: &[Value],
    available: Option<i64>,
) -> Response {
    let mut list = json!({
        "kind": format!("{}List", resource.kind()),
        "etag": "",
        "self_link": "",
        "offset": query.offset,
        "limit": query.limit,
        "items": items,
    });
    if let Some(available) = available {
        list["items_available"] = available.into();
    }
    Json(list).into_response()
}

fn add_to_user(user: &mut JsonMap, caller: &Caller) {
    let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default();
    let full_name = format!("{} {}", text("first_name"), text("last_name")).trim().to_owned();
    let own = text("uuid") == caller.user.uuid.as_str();
    let owner = user.get("owner_uuid").cloned().unwrap_or_default();
    let may = own || caller.user.is_admin;
    let mut add = |name: &str, value: Value| {
        user.insert(name.to_owned(), value);
    };
    add("full_name", full_name.into());
    // An account is made by an administrator: whoever has one was invited.
    add("is_invited", true.into());
    add("can_write", may.into());
    add("can_manage", may.into());
    add("writable_by", if may { json!([owner, caller.user.uuid]) } else { json!([owner]) });
}

/// The kind of what an identifier identifies.
pub(crate) fn kind_of(uuid: &str) -> Option<&'static str> {
    model::filter::kind_of_type_code(uuid.get(6..11)?)
}

/// The etag of what the record itself has: what is computed is the caller's.
fn own_etag(resource: Resource, attributes: &JsonMap) -> String {
    let computed = computed(resource);
    if attributes.keys().any(|name| computed.contains(&name.as_str())) {
        let mut own = attributes.clone();
        own.retain(|name, _| !computed.contains(&name.as_str()));
        return etag(&own);
    }
    etag(attributes)
}
