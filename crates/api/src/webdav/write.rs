//! Writing: each call changes the newest version of a collection in one step, or not at all.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::BodyExt as _;
use keep::Upload;
use manifest::{BLOCK_BYTES_MAX, Node, Segment, Tree, TreeError};
use model::Collection;
use store::{CollectionChange, CollectionContent, NameClash};

use super::{Place, Refusal};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::heavy::heavy;
use crate::resources::collections::{tree_of, writable};
use crate::router::Api;
use crate::settle::settle;

pub(super) async fn put(
    api: &Api,
    caller: &Caller,
    place: &Place,
    body: Body,
) -> Result<Response, Refusal> {
    // Before the body, which may be long.
    let collection = of_place(api, caller, place).await?;
    let tree = tree_of(&collection).await?;
    check_target(&tree, &place.path)?;
    if tree.get(&place.path).is_some_and(Node::is_directory) {
        return Err(is_directory(&place.path));
    }
    let segments = stored(api, body).await?;
    let path = place.path.clone();
    change(api, caller, place, move |tree| {
        check_target(tree, &path)?;
        let status = status_of(tree, &path);
        tree.put(&path, Node::File(segments.clone())).map_err(|error| refused(&error))?;
        Ok(status)
    })
    .await
}

/// Makes an empty file where there is nothing; whether it did.
pub(super) async fn make_empty(api: &Api, caller: &Caller, place: &Place) -> Result<bool, Refusal> {
    let collection = of_place(api, caller, place).await?;
    if tree_of(&collection).await?.get(&place.path).is_some() {
        return Ok(false);
    }
    let path = place.path.clone();
    change(api, caller, place, move |tree| {
        check_target(tree, &path)?;
        // Somebody else may have been faster.
        if tree.get(&path).is_none() {
            tree.put(&path, Node::File(Vec::new())).map_err(|error| refused(&error))?;
        }
        Ok(StatusCode::CREATED)
    })
    .await?;
    Ok(true)
}

pub(super) async fn delete(api: &Api, caller: &Caller, place: &Place) -> Result<Response, Refusal> {
    let path = place.path.clone();
    change(api, caller, place, move |tree| {
        if path.is_empty() {
            let words = "the collection itself is deleted by the API, not here";
            return Err(Refusal::State(StatusCode::FORBIDDEN, words.to_owned()));
        }
        tree.remove(&path).ok_or_else(|| nothing_at(&path))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

pub(super) async fn make_directory(
    api: &Api,
    caller: &Caller,
    place: &Place,
) -> Result<Response, Refusal> {
    let path = place.path.clone();
    change(api, caller, place, move |tree| {
        if tree.get(&path).is_some() {
            let words = format!("there is something at {path:?} already");
            return Err(Refusal::State(StatusCode::METHOD_NOT_ALLOWED, words));
        }
        check_target(tree, &path)?;
        tree.make_directory(&path).map_err(|error| refused(&error))?;
        Ok(StatusCode::CREATED)
    })
    .await
}

/// `MOVE`, or `COPY`, inside one collection.
pub(super) async fn transfer(
    api: &Api,
    caller: &Caller,
    place: &Place,
    headers: &HeaderMap,
    takes_away: bool,
) -> Result<Response, Refusal> {
    let to = destination(headers, place)?;
    let overwrites = headers.get("overwrite").map(HeaderValue::as_bytes) != Some(b"F");
    let from = place.path.clone();
    change(api, caller, place, move |tree| {
        let node = tree.get(&from).ok_or_else(|| nothing_at(&from))?.clone();
        if from.is_empty() || to.is_empty() || overlap(&from, &to) {
            let words = "source and destination must be different, and not one inside the other";
            return Err(Refusal::State(StatusCode::FORBIDDEN, words.to_owned()));
        }
        check_target(tree, &to)?;
        if tree.get(&to).is_some() && !overwrites {
            let words = format!("there is something at {to:?} already");
            return Err(Refusal::State(StatusCode::PRECONDITION_FAILED, words));
        }
        let status = status_of(tree, &to);
        tree.remove(&to);
        tree.put(&to, node).map_err(|error| refused(&error))?;
        if takes_away {
            tree.remove(&from);
        }
        Ok(status)
    })
    .await
}

/// Whether two paths are the same, or one is inside the other.
fn overlap(a: &str, b: &str) -> bool {
    let is_inside = |path: &str, other: &str| {
        path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_inside(a, b) || is_inside(b, a)
}

/// The path of the `Destination` header, which must be in the same collection.
pub(super) fn destination(headers: &HeaderMap, place: &Place) -> Result<String, Refusal> {
    let wrong = || Refusal::Bad("Destination must be a path in the same collection".to_owned());
    let text = headers.get("destination").and_then(|value| value.to_str().ok());
    let uri: Uri = text.ok_or_else(wrong)?.parse().map_err(|_no_address| wrong())?;
    let to = Place::of(uri.path()).ok_or_else(wrong)?;
    if to.collection == place.collection { Ok(to.path) } else { Err(wrong()) }
}

/// Stores a body of any length, block by block.
async fn stored(api: &Api, mut body: Body) -> Result<Vec<Segment>, Refusal> {
    let mut segments = Vec::new();
    let mut block: Option<Upload> = None;
    while let Some(frame) = body.frame().await {
        let mut piece: Bytes =
            frame.map_err(|_broken_off| Refusal::Body)?.into_data().unwrap_or_default();
        while !piece.is_empty() {
            let mut upload = match block.take() {
                Some(upload) => upload,
                None => api.blocks().keep.begin(None).await?,
            };
            let room = usize::try_from(BLOCK_BYTES_MAX - upload.n_bytes()).unwrap_or(usize::MAX);
            upload.write(&piece.split_to(piece.len().min(room))).await?;
            if upload.n_bytes() == BLOCK_BYTES_MAX {
                segments.push(finished(upload).await?);
            } else {
                block = Some(upload);
            }
        }
    }
    if let Some(upload) = block {
        segments.push(finished(upload).await?);
    }
    Ok(segments)
}

async fn finished(upload: Upload) -> Result<Segment, Refusal> {
    let locator = upload.finish(None).await?;
    Ok(Segment { offset: 0, len: locator.size(), locator })
}

/// The collection, where this caller may change it here.
pub(super) async fn of_place(
    api: &Api,
    caller: &Caller,
    place: &Place,
) -> Result<Collection, Refusal> {
    if place.is_content() {
        let words = "what is named by its content cannot change: use the collection's uuid";
        return Err(Refusal::State(StatusCode::METHOD_NOT_ALLOWED, words.to_owned()));
    }
    Ok(writable(api, caller, &place.collection, false).await?)
}

/// Applies a change to the newest version; again where somebody else was faster.
async fn change(
    api: &Api,
    caller: &Caller,
    place: &Place,
    apply: impl Fn(&mut Tree) -> Result<StatusCode, Refusal>,
) -> Result<Response, Refusal> {
    settle(|| async {
        let before = of_place(api, caller, place).await?;
        let mut tree = tree_of(&before).await?;
        let status = apply(&mut tree)?;
        let text = tree.text();
        let content = heavy(text.len(), move || CollectionContent::parse(&text))
            .await?
            .map_err(|error| Refusal::Bad(error.to_string()))?;
        let mut after = before.clone();
        content.put_into(&mut after);
        let keep_version =
            api.config().collections.versions.keeps(&before, &after, api.store().now());
        let name_clash = NameClash::Refuse;
        let change = CollectionChange { before, after, keep_version, name_clash };
        let saved = api.store().update_collection(change, caller.user.uuid).await;
        saved.map_err(ApiError::from)?;
        Ok(status.into_response())
    })
    .await
}

/// RFC 4918: the directory that something is put into must be there.
fn check_target(tree: &Tree, path: &str) -> Result<(), Refusal> {
    manifest::check_path(path).map_err(|problem| Refusal::Bad(problem.to_string()))?;
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    match tree.get(above) {
        Some(Node::Directory(_)) => Ok(()),
        _ => {
            let words = format!("there is no directory at {above:?}: make it first");
            Err(Refusal::State(StatusCode::CONFLICT, words))
        }
    }
}

fn status_of(tree: &Tree, path: &str) -> StatusCode {
    if tree.get(path).is_some() { StatusCode::NO_CONTENT } else { StatusCode::CREATED }
}

fn nothing_at(path: &str) -> Refusal {
    Refusal::NotFound(format!("there is nothing at {path:?}"))
}

fn is_directory(path: &str) -> Refusal {
    Refusal::State(StatusCode::METHOD_NOT_ALLOWED, format!("{path:?} is a directory"))
}

fn refused(error: &TreeError) -> Refusal {
    match error {
        TreeError::IsDirectory(path) | TreeError::IsFile(path) => is_directory(path),
        TreeError::Path(problem) => Refusal::Bad(problem.to_string()),
    }
}
