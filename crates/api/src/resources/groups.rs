//! Groups: projects, roles and filter groups.
//!
//! Deleting a project or filter group moves it to the trash, with everything in it; a role is deleted at once.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use model::group_rules::{self, GroupOrigin};
use model::{Group, GroupClass, GroupUuid, JsonMap, UserUuid, WellKnownGroup};
use serde_json::{Value, json};
use store::{Reader, Resource};

use super::{check_owner, name_clash, reads};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::rights;
use crate::router::Api;
use crate::settle::settle;

const RESOURCE: Resource = Resource::Groups;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/groups", get(list).post(create))
        .route("/arvados/v1/groups/{uuid}", get(read).put(update).patch(update).delete(remove))
        .route("/arvados/v1/groups/{uuid}/trash", post(remove))
        .route("/arvados/v1/groups/{uuid}/untrash", post(untrash))
}

reads!(RESOURCE);

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let attributes = call.attributes(RESOURCE)?;
    let by = call.caller.user.uuid;
    let origin = GroupOrigin {
        uuid: api.store().new_group_uuid()?,
        by,
        system_user: api.store().system_user(),
        at: api.store().now(),
    };
    let group = group_rules::new_group(&attributes, &origin)?;
    if group.group_class != GroupClass::Role {
        check_owner(&api, &call, &group.owner_uuid).await?;
    }
    check_freezer(&group, by)?;
    check_filters(&group)?;
    let group = api.store().create_group(group, name_clash(&call)?, by).await?;
    show(&api, &call, &group).await
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let attributes = call.attributes(RESOURCE)?;
    change(&api, &call, &path.uuid, &attributes).await
}

async fn untrash(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let mut attributes = JsonMap::new();
    attributes.insert("is_trashed".to_owned(), false.into());
    change(&api, &call, &path.uuid, &attributes).await
}

/// Into the trash, or away for good where it is a role.
async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let (group, rights) = find(&api, &call, &path.uuid).await?;
    if group.group_class != GroupClass::Role {
        let mut attributes = JsonMap::new();
        attributes.insert("is_trashed".to_owned(), true.into());
        return change(&api, &call, &path.uuid, &attributes).await;
    }
    check_change(&group, &group, rights, call.caller.user.uuid)?;
    refuse_well_known(&api, &group)?;
    api.store().deleting_as(call.caller.user.uuid).delete_role(group.uuid).await?;
    render::record(RESOURCE, &group, None, &call.caller)
}

async fn change(
    api: &Api,
    call: &Call,
    uuid: &str,
    attributes: &JsonMap,
) -> Result<Response, ApiError> {
    let by = call.caller.user.uuid;
    settle(|| async {
        let (before, rights) = find(api, call, uuid).await?;
        let after = group_rules::change_group(&before, attributes, api.store().now())?;
        if after == before {
            return show(api, call, &before).await;
        }
        check_change(&before, &after, rights, by)?;
        if after.owner_uuid != before.owner_uuid {
            check_owner(api, call, &after.owner_uuid).await?;
        }
        if after.trash_at.is_some() || after.owner_uuid != before.owner_uuid {
            refuse_well_known(api, &after)?;
        }
        check_filters(&after)?;
        let saved = api.store().update_group(before, after, name_clash(call)?, by).await?;
        show(api, call, &saved).await
    })
    .await
}

/// The group and what the caller may do with it, trashed or not: whoever changes it may bring it back.
async fn find(api: &Api, call: &Call, uuid: &str) -> Result<(Group, store::Rights), ApiError> {
    let reader = Reader { include_trash: true, ..call.caller.reader() };
    let rights = rights::on(api, &reader, RESOURCE, uuid).await?;
    let no_such = || ApiError::no_such("group", uuid);
    let uuid = GroupUuid::parse(uuid).map_err(|_not_one| no_such())?;
    let group = api.store().group(uuid).await?.ok_or_else(no_such)?;
    Ok((group, rights))
}

/// What a change needs: to write, to manage for roles and for freezing; and a frozen project only thaws.
fn check_change(
    before: &Group,
    after: &Group,
    rights: store::Rights,
    by: UserUuid,
) -> Result<(), ApiError> {
    let refuse = |words: String| Err(ApiError::Forbidden(words));
    let uuid = before.uuid;
    if before.frozen_by_uuid != after.frozen_by_uuid {
        if !rights.can_manage() {
            return refuse(format!("frozen_by_uuid: freezing needs can_manage on {uuid}"));
        }
        check_freezer(after, by)?;
    }
    if before.frozen_by_uuid.is_some() {
        let thawed = Group { frozen_by_uuid: None, ..before.clone() };
        return if after.frozen_by_uuid.is_none() && *after == thawed {
            Ok(())
        } else {
            refuse(format!("group {uuid} is frozen: set frozen_by_uuid to null first, and alone"))
        };
    }
    if rights.is_frozen {
        return refuse(format!("group {uuid} is in a frozen project"));
    }
    if before.group_class == GroupClass::Role && !rights.can_manage() {
        return refuse(format!("changing a role needs can_manage on {uuid}"));
    }
    if !rights.can_write() {
        return refuse(format!("you may read group {uuid}, but not change it"));
    }
    Ok(())
}

/// Who freezes a project puts their own name on it.
fn check_freezer(group: &Group, by: UserUuid) -> Result<(), ApiError> {
    match group.frozen_by_uuid {
        Some(freezer) if freezer != by => {
            Err(ApiError::field("frozen_by_uuid", format!("must be null or your own {by}")))
        }
        _ => Ok(()),
    }
}

fn refuse_well_known(api: &Api, group: &Group) -> Result<(), ApiError> {
    let cluster = api.store().cluster();
    if WellKnownGroup::ALL.iter().any(|known| known.uuid(&cluster) == group.uuid) {
        let words = format!("{} is part of every cluster and stays where it is", group.uuid);
        return Err(ApiError::Forbidden(words));
    }
    Ok(())
}

/// The filters of a filter group are those of a list of contents.
fn check_filters(group: &Group) -> Result<(), ApiError> {
    if group.group_class != GroupClass::Filter {
        return Ok(());
    }
    let filters = group.properties.get("filters").unwrap_or(&Value::Null);
    super::contents::parse_filters(filters)
        .map(drop)
        .map_err(|problem| ApiError::field("properties.filters", problem.to_string()))
}

async fn show(api: &Api, call: &Call, group: &Group) -> Result<Response, ApiError> {
    let select = call.parameters.select(RESOURCE)?;
    let record = match json!(group) {
        Value::Object(record) => render::selected(record, select.as_deref()),
        _ => JsonMap::new(),
    };
    let mut items = [record];
    rights::add(RESOURCE, api, call, &mut items).await?;
    let [record] = items;
    render::record(RESOURCE, &record, None, &call.caller)
}
