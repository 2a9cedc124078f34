//! Where a collection comes from (`provenance`) and what was made of it (`used_by`), step by step.
//!
//! ```text
//! content ◄─output, log─ request ─► container ─mounts, image─► content      provenance goes this way
//! content ─in mounts, image of─► container ─output, log─► content           used_by this one
//! ```
//! Both answer an object of records by identifier, collections by the hash of their content (Arvados). Only
//! what the caller may read is there, and nothing is gone through that they may not.

use std::collections::VecDeque;

use axum::Json;
use axum::extract::State;
use model::JsonMap;
use model::filter::{self, ListQuery};
use serde_json::{Value, json};
use store::Resource;

use super::find::{content_hash, find};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::render;
use crate::resources::ByUuid;
use crate::rights;
use crate::router::Api;

/// Most records of an answer: each costs a query or two.
const RECORDS_MAX: usize = 1000;
/// Of those that belong to one step.
const STEP_RECORDS_MAX: u32 = 1000;

pub(super) async fn provenance(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    Lineage::new(&api, &call).follow(&path.uuid, Way::Back).await
}

pub(super) async fn used_by(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    Lineage::new(&api, &call).follow(&path.uuid, Way::Forth).await
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Back,
    Forth,
}

struct Lineage<'a> {
    api: &'a Api,
    call: &'a Call,
    found: JsonMap,
    /// Hashes of contents that are still to be looked at.
    todo: VecDeque<String>,
}

impl<'a> Lineage<'a> {
    fn new(api: &'a Api, call: &'a Call) -> Self {
        Self { api, call, found: JsonMap::new(), todo: VecDeque::new() }
    }

    async fn follow(mut self, start: &str, way: Way) -> Result<Json<Value>, ApiError> {
        let no_such = || ApiError::no_such("collection", start);
        let hash = match content_hash(start) {
            Some(hash) => hash.to_owned(),
            None => {
                let found = find(self.api, &self.call.caller, start, false).await?;
                found.ok_or_else(no_such)?.portable_data_hash
            }
        };
        let start = hash.clone();
        self.todo.push_back(hash);
        while let Some(hash) = self.todo.pop_front() {
            if self.found.contains_key(&hash) {
                continue;
            }
            let collections = self.collections(&hash).await?;
            if collections.is_empty() {
                // Nobody learns by this what was done with contents that they may not read.
                continue;
            }
            match way {
                Way::Back => self.back_from(&collections).await?,
                Way::Forth => self.forth_from(&hash).await?,
            }
        }
        if self.found.contains_key(&start) { Ok(Json(self.found.into())) } else { Err(no_such()) }
    }

    /// The identifiers of all collections of this content; the first is answered.
    async fn collections(&mut self, hash: &str) -> Result<Vec<String>, ApiError> {
        let filters = json!([["portable_data_hash", "=", hash]]);
        let found = self.records(Resource::Collections, &filters).await?;
        let uuids = found.iter().map(|it| text(it, "uuid").to_owned()).collect();
        if let Some(first) = found.into_iter().next() {
            self.add(hash, Resource::Collections, first)?;
        }
        Ok(uuids)
    }

    async fn back_from(&mut self, collections: &[String]) -> Result<(), ApiError> {
        let made = json!([[["output_uuid", "log_uuid"], "in", collections]]);
        for request in self.records(Resource::ContainerRequests, &made).await? {
            let own = json!([["uuid", "=", text(&request, "container_uuid")]]);
            self.add_by_uuid(Resource::ContainerRequests, request)?;
            for container in self.records(Resource::Containers, &own).await? {
                self.todo.extend(inputs_of(&container));
                self.add_by_uuid(Resource::Containers, container)?;
            }
        }
        Ok(())
    }

    async fn forth_from(&mut self, hash: &str) -> Result<(), ApiError> {
        let pattern = format!("%{hash}%");
        let filters = json!([[["container_image", "mounts"], "like", pattern]]);
        for container in self.records(Resource::Containers, &filters).await? {
            if !inputs_of(&container).any(|input| input == hash) {
                continue;
            }
            let made = ["output", "log"].map(|name| text(&container, name).to_owned());
            self.todo.extend(made.into_iter().filter(|hash| !hash.is_empty()));
            self.add_by_uuid(Resource::Containers, container)?;
        }
        Ok(())
    }

    async fn records(&self, resource: Resource, filters: &Value) -> Result<Vec<JsonMap>, ApiError> {
        let schema = resource.schema();
        // Manifests may be long, and are not what is asked for.
        let names = schema.attributes.iter().map(|attribute| attribute.name);
        let query = ListQuery {
            filters: filter::parse_filters(schema, filters)?,
            select: Some(names.filter(|name| *name != "manifest_text").collect()),
            limit: STEP_RECORDS_MAX,
            count: false,
            ..ListQuery::all(schema)
        };
        let page = self.api.store().list(resource, &query, &self.call.caller.reader()).await?;
        let mut items = page.items;
        rights::add(resource, self.api, self.call, &mut items).await?;
        Ok(items)
    }

    fn add_by_uuid(&mut self, resource: Resource, record: JsonMap) -> Result<(), ApiError> {
        let uuid = text(&record, "uuid").to_owned();
        self.add(&uuid, resource, record)
    }

    fn add(&mut self, key: &str, resource: Resource, record: JsonMap) -> Result<(), ApiError> {
        if self.found.len() >= RECORDS_MAX {
            let words =
                format!("this leads to more than {RECORDS_MAX} records: ask for less of it");
            return Err(ApiError::field("uuid", words));
        }
        let record = render::object(resource, record, &self.call.caller);
        self.found.insert(key.to_owned(), record);
        Ok(())
    }
}

fn text<'r>(record: &'r JsonMap, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The contents that a container reads.
fn inputs_of(container: &JsonMap) -> impl Iterator<Item = String> {
    let mounts = container.get("mounts").and_then(Value::as_object).into_iter().flatten();
    let mounted = mounts.filter_map(|(_, mount)| mount.get("portable_data_hash")?.as_str());
    let all: Vec<String> = mounted
        .chain([text(container, "container_image")])
        .filter_map(content_hash)
        .map(str::to_owned)
        .collect();
    all.into_iter()
}
