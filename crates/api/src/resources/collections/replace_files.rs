//! `replace_files`: files of a collection changed one by one, without sending a manifest.
//!
//! `{"/target": "source"}`, where a source is `<portable data hash>/path`, `current/path` or
//! `manifest_text/path`, or empty, which deletes. `/` as a target is the whole collection. A target may lie
//! inside one that is deleted by the same call.

use std::collections::BTreeMap;

use manifest::{Manifest, Node, Problem, Tree, TreeError, check_path};
use serde_json::Value;
use store::CollectionContent;

use super::content::tree_of;
use super::find::{by_content, content_hash};
use crate::call::Call;
use crate::error::ApiError;
use crate::heavy::heavy;
use crate::router::Api;

const FIELD: &str = "replace_files";
/// The first part of sources in the manifest that came with the call.
const GIVEN: &str = "manifest_text";

/// What goes where: paths without their first slash, in order.
#[derive(Debug)]
pub(super) struct Replacements(BTreeMap<String, String>);

impl Replacements {
    /// Those of a call.
    ///
    /// # Errors
    /// 422 for other forms, and for targets inside others that have a source.
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
            let path = target.strip_prefix('/').ok_or_else(|| wrong("targets begin with /"))?;
            if !path.is_empty() {
                let problem = |problem: Problem| ApiError::field(FIELD, problem.to_string());
                check_path(path).map_err(problem)?;
            }
            let source = source.as_str().ok_or_else(|| wrong("sources are text"))?;
            replacements.insert(path.to_owned(), source.to_owned());
        }
        // What is deleted first may be filled again, in the order of paths.
        let mut filled = replacements.iter().filter(|(_, source)| !source.is_empty());
        if filled.any(|(path, _)| has_below(&replacements, path)) {
            return Err(wrong("a target must not be inside another that has a source"));
        }
        Ok(Some(Self(replacements)))
    }
}

/// Whether there are targets inside this one.
fn has_below(replacements: &BTreeMap<String, String>, path: &str) -> bool {
    if path.is_empty() {
        return replacements.len() > 1;
    }
    let below = format!("{path}/");
    replacements.range(below.clone()..).next().is_some_and(|(next, _)| next.starts_with(&below))
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
        let is_used = replacements.values().any(|source| source.split('/').next() == Some(GIVEN));
        if !is_used && !given.text().is_empty() {
            let problem = "has no part in replace_files: no source begins with manifest_text/";
            return Err(ApiError::field("manifest_text", problem));
        }
        sources.given = Some(Tree::of(given).map_err(|error| wrong("manifest_text", &error))?);
    }
    let mut tree = start;
    // What is above comes first in order: it is deleted before something is put there.
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
            GIVEN => self.given.as_ref().ok_or_else(no_such)?,
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
