//! Collections: trees of files by name, whose content comes and goes as manifests.
//!
//! Manifests are kept without permissions. Those that come in are checked block by block, those that
//! go out are signed for whoever asks.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use model::Collection;
use store::{CollectionChange, NameClash, NewCollection, Reader, Resource, StoreError};

use super::{check_owner, name_clash};
use crate::call::Call;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::Path;
use crate::rights;
use crate::router::Api;
use crate::settle::settle;

mod answer;
mod attributes;
mod content;
pub(crate) mod find;
mod lineage;
mod replace_files;
mod replace_segments;
mod trash;

use answer::Shape;
use attributes::{Sent, changed};
use find::find;

pub(crate) use content::tree_of;

const RESOURCE: Resource = Resource::Collections;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/collections", get(list).post(create))
        .route("/arvados/v1/collections/{uuid}", get(read).put(update).patch(update).delete(remove))
        .route("/arvados/v1/collections/{uuid}/trash", post(to_trash))
        .route("/arvados/v1/collections/{uuid}/untrash", post(from_trash))
        .route("/arvados/v1/collections/{uuid}/provenance", get(lineage::provenance))
        .route("/arvados/v1/collections/{uuid}/used_by", get(lineage::used_by))
}

async fn list(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let shape = Shape::of_list(&call.parameters)?;
    let mut query = call.parameters.list_query(RESOURCE)?;
    query.select = Some(shape.fetched());
    let page = api.store().list(RESOURCE, &query, &call.caller.reader()).await?;
    answer::list(&api, &call.caller, shape, &query, page).await
}

async fn read(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let trash = call.parameters.flag("include_trash")?;
    let shape = Shape::of_record(&call.parameters)?;
    let no_such = || ApiError::no_such("collection", &path.uuid);
    if let Some(hash) = find::content_hash(&path.uuid) {
        let found = find::by_content(&api, &call.caller, hash, trash).await?;
        return answer::content(&api, &call.caller, shape, found.ok_or_else(no_such)?).await;
    }
    let found = find(&api, &call.caller, &path.uuid, trash).await?.ok_or_else(no_such)?;
    answer::record(&api, &call.caller, shape, found).await
}

async fn create(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let shape = Shape::of_record(&call.parameters)?;
    let attributes = call.attributes(RESOURCE)?;
    let blank = attributes::blank(&api, &call)?;
    let (mut after, sent) = changed(&blank, &attributes)?;
    trash::settle(&mut after, &sent, &trash::Rules::of(&api));
    check_owner(&api, &call, &after.owner_uuid).await?;
    let content = content::of_new(&api, &call, &sent).await?;
    let new = NewCollection {
        description: after.description,
        properties: after.properties,
        replication_desired: after.replication_desired,
        storage_classes_desired: after.storage_classes_desired,
        trash_at: after.trash_at,
        delete_at: after.delete_at,
        preserve_version: after.preserve_version,
        name_clash: name_clash(&call)?,
        ..NewCollection::named(after.owner_uuid, after.name, content)
    };
    let made = api.store().create_collection(new, call.caller.user.uuid).await?;
    answer::record(&api, &call.caller, shape, made).await
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    let shape = Shape::of_record(&call.parameters)?;
    let attributes = call.attributes(RESOURCE)?;
    let concerns_trash = ["is_trashed", "trash_at"].iter().any(|it| attributes.contains_key(*it));
    let trash = concerns_trash || call.parameters.flag("include_trash")?;
    let name_clash = name_clash(&call)?;
    let saved = settle(|| async {
        let before = writable(&api, &call.caller, &path.uuid, trash).await?;
        let (mut after, sent) = changed(&before, &attributes)?;
        trash::settle(&mut after, &sent, &trash::Rules::of(&api));
        if after.owner_uuid != before.owner_uuid {
            check_owner(&api, &call, &after.owner_uuid).await?;
        }
        if let Some(content) = content::of_change(&api, &call, &before, &sent).await? {
            content.put_into(&mut after);
        }
        Ok::<_, ApiError>(write(&api, &call, before, after, &sent, name_clash).await?)
    })
    .await?;
    answer::record(&api, &call.caller, shape, saved).await
}

/// Writes a change, if it is one.
async fn write(
    api: &Api,
    call: &Call,
    before: Collection,
    mut after: Collection,
    sent: &Sent,
    name_clash: NameClash,
) -> Result<Collection, StoreError> {
    if after == before {
        return Ok(before);
    }
    let keep_version = api.config().collections.versions.keeps(&before, &after, api.store().now());
    if keep_version {
        // What was said of the version before does not hold for the next one.
        after.preserve_version = sent.preserve_version.unwrap_or(false);
    }
    let change = CollectionChange { before, after, keep_version, name_clash };
    api.store().update_collection(change, call.caller.user.uuid).await
}

async fn remove(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    move_trash(&api, &call, &path.uuid, trash::Move::Delete).await
}

async fn to_trash(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    move_trash(&api, &call, &path.uuid, trash::Move::In).await
}

async fn from_trash(
    State(api): State<Api>,
    Path(path): Path<super::ByUuid>,
    call: Call,
) -> Result<Response, ApiError> {
    move_trash(&api, &call, &path.uuid, trash::Move::Out).await
}

async fn move_trash(
    api: &Api,
    call: &Call,
    uuid: &str,
    way: trash::Move,
) -> Result<Response, ApiError> {
    let shape = Shape::of_record(&call.parameters)?;
    let name_clash = name_clash(call)?;
    let saved = settle(|| async {
        let before = writable(api, &call.caller, uuid, true).await?;
        let mut after = before.clone();
        way.apply(&mut after, &trash::Rules::of(api));
        Ok::<_, ApiError>(write(api, call, before, after, &Sent::default(), name_clash).await?)
    })
    .await?;
    answer::record(api, &call.caller, shape, saved).await
}

/// The collection, where the caller may write it.
pub(crate) async fn writable(
    api: &Api,
    caller: &Caller,
    uuid: &str,
    trash: bool,
) -> Result<Collection, ApiError> {
    let found = find(api, caller, uuid, trash).await?;
    let collection = found.ok_or_else(|| ApiError::no_such("collection", uuid))?;
    let reader = Reader { include_trash: trash, ..caller.reader() };
    rights::require_write(api, &reader, RESOURCE, uuid).await?;
    if !collection.is_current() {
        let problem = format!(
            "is an old version; only the newest one, {}, can be changed",
            collection.current_version_uuid
        );
        return Err(ApiError::field("uuid", problem));
    }
    Ok(collection)
}
