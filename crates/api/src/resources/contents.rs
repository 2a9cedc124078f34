//! `groups/contents`, `groups/{uuid}/contents` and `groups/shared`: lists over everything that homes and projects hold.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::filter::mixed::{self, Kind};
use model::filter::{Filter, ListQuery};
use model::{FieldError, GroupUuid, JsonMap, UserUuid};
use serde_json::{Value, json};
use store::{ContentsQuery, KindQuery, Reader, Resource, Scope};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::rights;
use crate::router::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/groups/contents", get(everything))
        .route("/arvados/v1/groups/shared", get(shared))
        .route("/arvados/v1/groups/{uuid}/contents", get(of_owner))
}

async fn everything(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let owner = call.parameters.text("uuid").map(str::to_owned);
    contents(&api, &call, owner.as_deref()).await
}

async fn of_owner(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    contents(&api, &call, Some(&path.uuid)).await
}

/// Everything in its order, as [`Resource::OWNED`] says.
fn kinds() -> Vec<Kind> {
    let kind =
        |resource: &Resource| Kind { schema: resource.schema(), type_code: resource.type_code() };
    Resource::OWNED.iter().map(kind).collect()
}

/// Filters of such a list: for each type, none where no record of it can match.
///
/// # Errors
/// As [`mixed::parse_filters`].
pub(super) fn parse_filters(filters: &Value) -> Result<Vec<Option<Vec<Filter>>>, FieldError> {
    match filters {
        Value::Null => Ok(vec![Some(Vec::new()); Resource::OWNED.len()]),
        filters => mixed::parse_filters(&kinds(), filters),
    }
}

async fn contents(api: &Api, call: &Call, owner: Option<&str>) -> Result<Response, ApiError> {
    let parameters = &call.parameters;
    let reader = call.reader()?;
    let mut filters = parse_filters(&parameters.json("filters")?)?;
    narrow(&mut filters, parse_filters(&parameters.equal()?)?);
    let exclude_home = parameters.flag("exclude_home_project")?;
    let scope = match owner {
        None if exclude_home => Scope::NotHome,
        None => Scope::Everything,
        Some(_) if exclude_home => {
            let problem = "cannot be true where a project or user is named";
            return Err(ApiError::field("exclude_home_project", problem));
        }
        Some(owner) => match saved_filters(api, &reader, owner).await? {
            Some(saved) => {
                narrow(&mut filters, saved);
                Scope::Everything
            }
            None if parameters.flag("recursive")? => Scope::Below(owner.to_owned()),
            None => Scope::In(owner.to_owned()),
        },
    };
    let query = ContentsQuery {
        scope,
        kinds: kind_queries(call, filters)?,
        limit: parameters.limit()?,
        offset: parameters.number("offset")?.unwrap_or(0),
        count: parameters.count()?,
    };
    let page = api.store().contents(&query, &reader).await?;
    let included = included(api, call, &reader, &page.items).await?;
    let items = objects(api, call, page.items).await?;
    let mut list = json!({
        "kind": "arvados#objectList",
        "etag": "",
        "self_link": "",
        "offset": query.offset,
        "limit": query.limit,
        "items": items,
    });
    if let Some(available) = page.available {
        list["items_available"] = available.into();
    }
    if let Some(included) = included {
        list["included"] = included.into();
    }
    Ok(Json(list).into_response())
}

/// The filters of a filter group; none for a user or project, of which the caller sees what it owns.
///
/// # Errors
/// 404 where there is no such owner for the caller.
async fn saved_filters(
    api: &Api,
    reader: &Reader,
    owner: &str,
) -> Result<Option<Vec<Option<Vec<Filter>>>>, ApiError> {
    let no_such = || ApiError::no_such("project or user", owner);
    if UserUuid::parse(owner).is_ok() {
        let found = api.store().rights(reader, owner).await?;
        return found.map(|_| None).ok_or_else(no_such);
    }
    GroupUuid::parse(owner).map_err(|_not_one| no_such())?;
    let found = api.store().get(Resource::Groups, owner, reader).await?;
    let group = found.ok_or_else(no_such)?;
    if group.get("group_class").and_then(Value::as_str) != Some("filter") {
        return Ok(None);
    }
    let filters = group.get("properties").and_then(|properties| properties.get("filters"));
    Ok(Some(parse_filters(filters.unwrap_or(&Value::Null))?))
}

/// Both must hold.
fn narrow(filters: &mut [Option<Vec<Filter>>], more: Vec<Option<Vec<Filter>>>) {
    for (own, more) in filters.iter_mut().zip(more) {
        *own = match (own.take(), more) {
            (Some(mut own), Some(more)) => {
                own.extend(more);
                Some(own)
            }
            _ => None,
        };
    }
}

fn kind_queries(
    call: &Call,
    filters: Vec<Option<Vec<Filter>>>,
) -> Result<Vec<KindQuery>, ApiError> {
    let orders = mixed::parse_order(&kinds(), &call.parameters.texts("order")?)?;
    let mut queries = Vec::new();
    for ((resource, filters), order) in Resource::OWNED.iter().zip(filters).zip(orders) {
        if let Some(filters) = filters {
            let select = select(call, *resource)?;
            queries.push(KindQuery { resource: *resource, filters, order, select });
        }
    }
    Ok(queries)
}

/// What of a type is answered. Manifests are not (Arvados): signing them for a page costs too much.
fn select(call: &Call, resource: Resource) -> Result<Option<Vec<&'static str>>, ApiError> {
    let select = mixed::parse_select(resource.schema(), &call.parameters.texts("select")?)?;
    if resource != Resource::Collections {
        return Ok(select);
    }
    let all = || resource.schema().attributes.iter().map(|attribute| attribute.name).collect();
    let mut names: Vec<&'static str> = select.unwrap_or_else(all);
    names.retain(|name| *name != "manifest_text");
    Ok(Some(names))
}

/// Records of several types as the caller sees them, in order.
async fn objects(
    api: &Api,
    call: &Call,
    records: Vec<(Resource, JsonMap)>,
) -> Result<Vec<Value>, ApiError> {
    let (resources, mut records): (Vec<Resource>, Vec<JsonMap>) = records.into_iter().unzip();
    for resource in Resource::ALL {
        let places: Vec<usize> =
            (0..records.len()).filter(|at| resources[*at] == *resource).collect();
        if places.is_empty() {
            continue;
        }
        let mut of_type: Vec<JsonMap> =
            places.iter().map(|at| std::mem::take(&mut records[*at])).collect();
        rights::add(*resource, api, call, &mut of_type).await?;
        for (at, record) in places.into_iter().zip(of_type) {
            records[at] = record;
        }
    }
    let shown = resources.into_iter().zip(records);
    Ok(shown.map(|(resource, record)| render::object(resource, record, &call.caller)).collect())
}

/// What the items point to, as `include` asks: each record once.
async fn included(
    api: &Api,
    call: &Call,
    reader: &Reader,
    items: &[(Resource, JsonMap)],
) -> Result<Option<Vec<Value>>, ApiError> {
    let Value::Array(asked) = call.parameters.texts("include")? else { return Ok(None) };
    let mut found = Vec::new();
    for name in &asked {
        let (name, resources): (_, &[Resource]) = match name.as_str() {
            Some("owner_uuid") => ("owner_uuid", &[Resource::Users, Resource::Groups]),
            Some("container_uuid") => ("container_uuid", &[Resource::Containers]),
            _ => {
                let problem = format!("holds {name}; known are owner_uuid and container_uuid");
                return Err(ApiError::field("include", problem));
            }
        };
        let uuids = pointed_to(api, reader, name, items).await?;
        for resource in resources {
            let of_type: Vec<&str> = uuids
                .iter()
                .map(String::as_str)
                .filter(|uuid| Resource::of_uuid(uuid) == Some(*resource))
                .collect();
            let select = select(call, *resource)?;
            let records =
                api.store().list_by_uuids(*resource, &of_type, select.as_deref(), reader).await?;
            found.extend(records.into_iter().map(|record| (*resource, record)));
        }
    }
    objects(api, call, found).await.map(Some)
}

/// The identifiers in an attribute of the items, looked up where it was not selected.
async fn pointed_to(
    api: &Api,
    reader: &Reader,
    name: &'static str,
    items: &[(Resource, JsonMap)],
) -> Result<BTreeSet<String>, ApiError> {
    let mut uuids = BTreeSet::new();
    let text =
        |record: &JsonMap, name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    for resource in Resource::OWNED {
        let of_type = || items.iter().filter(|(of, _)| of == resource).map(|(_, record)| record);
        uuids.extend(of_type().filter_map(|record| text(record, name)));
        if resource.schema().attribute(name).is_none() {
            continue;
        }
        let unknown: Vec<String> = of_type()
            .filter(|record| !record.contains_key(name))
            .filter_map(|record| text(record, "uuid"))
            .collect();
        let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
        let records = api.store().list_by_uuids(*resource, &unknown, Some(&[name]), reader).await?;
        uuids.extend(records.iter().filter_map(|record| text(record, name)));
    }
    Ok(uuids)
}

async fn shared(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let reader = call.reader()?;
    let mut query: ListQuery = call.parameters.list_query(Resource::Groups)?;
    if let Some(select) = &mut query.select
        && !select.contains(&"uuid")
    {
        select.push("uuid");
    }
    let page = api.store().shared_groups(&query, &reader).await?;
    let items: Vec<_> = page.items.into_iter().map(|item| (Resource::Groups, item)).collect();
    let included = included(&api, &call, &reader, &items).await?;
    let mut list = json!({
        "kind": "arvados#groupList",
        "etag": "",
        "self_link": "",
        "offset": query.offset,
        "limit": query.limit,
        "items": objects(&api, &call, items).await?,
        "included": included.unwrap_or_default(),
    });
    if let Some(available) = page.available {
        list["items_available"] = available.into();
    }
    Ok(Json(list).into_response())
}
