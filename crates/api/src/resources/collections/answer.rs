//! Collections as the caller sees them: manifests signed for them, and only where they are wanted.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use model::filter::ListQuery;
use model::{Collection, JsonMap, Timestamp};
use serde_json::Value;
use store::Page;

use super::RESOURCE;
use crate::call::Parameters;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::heavy::heavy;
use crate::render;
use crate::router::Api;

const MANIFEST: &str = "manifest_text";
const UNSIGNED: &str = "unsigned_manifest_text";
/// What decides how long permissions hold.
const TRASH: [&str; 2] = ["trash_at", "is_trashed"];

/// Which attributes are answered.
#[derive(Debug)]
pub(super) struct Shape {
    shown: Vec<&'static str>,
    shows_unsigned: bool,
}

impl Shape {
    /// A list leaves manifests out unless they are selected.
    pub(super) fn of_list(parameters: &Parameters) -> Result<Self, ApiError> {
        let mut shape = Self::of_record(parameters)?;
        if parameters.text("select").is_none() {
            shape.shown.retain(|name| *name != MANIFEST);
        }
        Ok(shape)
    }

    pub(super) fn of_record(parameters: &Parameters) -> Result<Self, ApiError> {
        let shown = parameters.select(RESOURCE)?;
        let all = || RESOURCE.schema().attributes.iter().map(|attribute| attribute.name).collect();
        let shows_unsigned = parameters.text("select").is_some_and(|text| text.contains(UNSIGNED));
        Ok(Self { shown: shown.unwrap_or_else(all), shows_unsigned })
    }

    /// The columns that this needs.
    pub(super) fn fetched(&self) -> Vec<&'static str> {
        let mut names = self.shown.clone();
        if self.shows_unsigned || self.shows(MANIFEST) {
            names.push(MANIFEST);
            names.extend(TRASH);
            names.sort_unstable();
            names.dedup();
        }
        names
    }

    fn shows(&self, name: &str) -> bool {
        self.shown.contains(&name)
    }
}

/// A page of a list.
pub(super) async fn list(
    api: &Api,
    caller: &Caller,
    shape: Shape,
    query: &ListQuery,
    page: Page,
) -> Result<Response, ApiError> {
    let Page { items, available } = page;
    let n_bytes = items.iter().map(manifest_bytes).sum();
    let (api, caller) = (api.clone(), caller.clone());
    let items = heavy(n_bytes, move || {
        items.into_iter().map(|item| shown(&api, &caller, &shape, item)).collect::<Vec<Value>>()
    })
    .await?;
    Ok(render::list_of(RESOURCE, query, &items, available))
}

/// One collection.
pub(super) async fn record(
    api: &Api,
    caller: &Caller,
    shape: Shape,
    collection: Collection,
) -> Result<Response, ApiError> {
    let attributes = attributes_of(&collection)?;
    object(api, caller, shape, attributes).await
}

/// A collection that was asked for by its content, which is all that is said of it.
pub(super) async fn content(
    api: &Api,
    caller: &Caller,
    mut shape: Shape,
    collection: Collection,
) -> Result<Response, ApiError> {
    let known = ["uuid", "portable_data_hash", "trash_at", MANIFEST];
    shape.shown.retain(|name| known.contains(name));
    let mut attributes = attributes_of(&collection)?;
    attributes.insert("uuid".to_owned(), collection.portable_data_hash.into());
    object(api, caller, shape, attributes).await
}

async fn object(
    api: &Api,
    caller: &Caller,
    shape: Shape,
    attributes: JsonMap,
) -> Result<Response, ApiError> {
    let (api, caller) = (api.clone(), caller.clone());
    let n_bytes = manifest_bytes(&attributes);
    let value = heavy(n_bytes, move || shown(&api, &caller, &shape, attributes)).await?;
    Ok(Json(value).into_response())
}

fn attributes_of(collection: &Collection) -> Result<JsonMap, ApiError> {
    match serde_json::to_value(collection) {
        Ok(Value::Object(attributes)) => Ok(attributes),
        _ => Err(ApiError::Failed("cannot write the collection".to_owned())),
    }
}

fn manifest_bytes(attributes: &JsonMap) -> usize {
    attributes.get(MANIFEST).and_then(Value::as_str).map_or(0, str::len)
}

/// The attributes that are wanted, of those that were read.
fn shown(api: &Api, caller: &Caller, shape: &Shape, mut attributes: JsonMap) -> Value {
    let text = match attributes.get_mut(MANIFEST).map(Value::take) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let trash_at: Option<Timestamp> =
        attributes.get("trash_at").and_then(Value::as_str).and_then(|at| at.parse().ok());
    let is_trashed = attributes.get("is_trashed").and_then(Value::as_bool).unwrap_or(false)
        || trash_at.is_some_and(|at| at <= api.store().now());
    if let Some(shown) = attributes.get_mut("is_trashed") {
        // What is due is in the trash, marked or not.
        *shown = is_trashed.into();
    }
    let mut object =
        render::object(RESOURCE, render::selected(attributes, Some(&shape.shown)), caller);
    if shape.shows(MANIFEST) {
        // Nobody reads what is in the trash: it has to be taken out first.
        object[MANIFEST] = if is_trashed {
            text.as_str().into()
        } else {
            api.permitted_manifest(&text, caller, trash_at).into()
        };
    }
    if shape.shows_unsigned {
        object[UNSIGNED] = text.into();
    }
    object
}
