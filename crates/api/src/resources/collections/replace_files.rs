//! `replace_files`: files of a collection changed one by one, without sending a manifest.
//!
//! `{"/target": "source"}`, where a source is `<portable data hash>/path`, `current/path` or
//! `manifest_text/path`, or empty, which deletes. `/` as a target is the whole collection.

use std::collections::BTreeMap;

use manifest::{Manifest, Node, Tree, TreeError};
use serde_json::Value;
use store::CollectionContent;

use super::content::tree_of;
use super::find::{by_content, content_hash};
use crate::call::Call;
use crate::error::ApiError;
use crate::heavy::heavy;
use crate::router::Api;

const FIELD: &str = "replace_files";

/// What goes where: paths without their first slash, in order.
#[derive(Debug)]
pub(super) struct Replacements(BTreeMap<String, String>);

impl Replacements {
    /// Those of a call.
    ///
    /// # Errors
    /// 422 for other forms, and for targets of which one is inside the other.
    pub(super) fn of(call: &Call) -> Result<Option<Self>, ApiError> {
        let wrong = |problem: &str| ApiError::field(FIELD, problem);
        let sent = call.option(FIELD)?;
        let sent = match sent {
            Value::Null => return Ok(None),
            Value::Object(map) if map.is_empty() => return Ok(None),
            Value::Object(map) => map,
            _ => return Err(wrong("must be an object of targets and sources")),
        };
        let mut replacements = BTreeMap::new();
        for (target, source) in sent {
            let target = target.strip_prefix('/').ok_or_else(|| wrong("targets begin with /"))?;
            let source = source.as_str().ok_or_else(|| wrong("sources are text"))?;
            let target = target.strip_suffix('/').unwrap_or(target).to_owned();
            replacements.insert(target, source.to_owned());
        }
        let paths: Vec<&String> = replacements.keys().filter(|path| !path.is_empty()).collect();
        let is_inside = |path: &str, other: &str| {
            path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
        };
        if paths.iter().any(|path| paths.iter().any(|other| is_inside(path, other))) {
            return Err(wrong("one target must not be inside another"));
        }
        Ok(Some(Self(replacements)))
    }
}

/// The content after the replacements: `start` is the collection as it is, `given` a manifest that
/// came with the call.
pub(super) async fn replaced(
    api: &Api,
    call: &Call,
    start: Tree,
    given: Option<&Manifest>,
    Replacements(replacements): &Replacements,
) -> Result<CollectionContent, ApiError> {
    let mut sources = Sources { current: start.clone(), given: None, others: BTreeMap::new() };
    if let Some(given) = given {
        sources.given = Some(Tree::of(given).map_err(|error| wrong("manifest_text", &error))?);
    }
    let mut tree = start;
    // The whole comes first in order, and then what is put into it.
    for (target, source) in replacements {
        let node =
            if source.is_empty() { None } else { Some(sources.node(api, call, source).await?) };
        put(&mut tree, target, node)?;
    }
    let text = tree.text();
    heavy(text.len(), move || CollectionContent::parse(&text))
        .await?
        .map_err(|error| ApiError::field(FIELD, format!("make no manifest: {error}")))
}

fn wrong(path: &str, error: &TreeError) -> ApiError {
    let path: String = path.chars().take(100).collect();
    ApiError::field(FIELD, format!("[{path:?}]: {error}"))
}

fn put(tree: &mut Tree, target: &str, node: Option<Node>) -> Result<(), ApiError> {
    if target.is_empty() {
        *tree = match node {
            None => Tree::new(),
            Some(Node::Directory(entries)) => {
                let mut whole = Tree::new();
                for (name, node) in entries {
                    whole.put(&name, node).map_err(|error| wrong("/", &error))?;
                }
                whole
            }
            Some(Node::File(_)) => {
                return Err(ApiError::field(FIELD, "[\"/\"]: the whole cannot be a file"));
            }
        };
        return Ok(());
    }
    // A file may take the place of a directory here: that is what replacing means.
    tree.remove(target);
    match node {
        None => Ok(()),
        Some(node) => tree.put(target, node).map_err(|error| wrong(target, &error)),
    }
}

/// Where files come from.
struct Sources {
    current: Tree,
    given: Option<Tree>,
    others: BTreeMap<String, Tree>,
}

impl Sources {
    async fn node(&mut self, api: &Api, call: &Call, source: &str) -> Result<Node, ApiError> {
        let (from, path) = source.split_once('/').unwrap_or((source, ""));
        let shown: String = source.chars().take(100).collect();
        let no_such = || ApiError::field(FIELD, format!("there is nothing at {shown:?}"));
        let tree = match from {
            "current" => &self.current,
            "manifest_text" => self.given.as_ref().ok_or_else(no_such)?,
            other => {
                let hash = content_hash(other).ok_or_else(|| {
                    let problem = format!(
                        "the source {shown:?} must begin with a portable data hash, current or \
                         manifest_text"
                    );
                    ApiError::field(FIELD, problem)
                })?;
                if !self.others.contains_key(hash) {
                    let found = by_content(api, &call.caller, hash, false).await?;
                    let tree = tree_of(&found.ok_or_else(no_such)?).await?;
                    self.others.insert(hash.to_owned(), tree);
                }
                self.others.get(hash).ok_or_else(no_such)?
            }
        };
        tree.get(path.trim_end_matches('/')).cloned().ok_or_else(no_such)
    }
}
