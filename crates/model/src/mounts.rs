//! A container's mounts as they are made: one list for each way of making them.
//!
//! The records keep mounts as JSON, a target path (or `stdin`, `stdout`, `stderr`) to an object with a `kind`
//! (Arvados). [`MountPlan::of`] reads that into what the supervisor does, and says what cannot be made. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::launch::BindMount;
use crate::records::JsonMap;
use crate::request_rules::bind_mounts;

/// What a mount cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mounts[{target:?}] {problem}")]
pub struct MountProblem {
    /// Its place in the container.
    pub target: String,
    /// What is wrong, to be read after the mount's name.
    pub problem: String,
}

/// Files of a collection, at a place in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionMount {
    /// Absolute path in the container.
    pub target: String,
    /// Which collection; none is the empty one.
    pub portable_data_hash: Option<String>,
    /// The file or directory of the collection that is shown, without slashes at its ends; empty is all of it.
    pub path: String,
    /// Whether the container gets a copy of its own that it may change.
    pub writable: bool,
    /// Whether the output leaves it out, where it lies in the output directory.
    #[serde(default)]
    pub exclude_from_output: bool,
}

/// A file of the request's own text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Absolute path in the container.
    pub target: String,
    /// All that is in it.
    pub text: String,
    /// Whether the output leaves it out, where it lies in the output directory.
    #[serde(default)]
    pub exclude_from_output: bool,
}

impl std::fmt::Debug for Content {
    /// The text may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What the command reads from its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// This text.
    Text(String),
    /// A file of a collection.
    File {
        /// Which collection.
        portable_data_hash: String,
        /// The file's path in it.
        path: String,
    },
}

/// All of a container's mounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountPlan {
    /// Paths of the host.
    pub binds: Vec<BindMount>,
    /// Empty, writable directories.
    pub tmp: Vec<String>,
    /// Collections.
    pub collections: Vec<CollectionMount>,
    /// Files of the request's own text (`text` and `json`).
    pub contents: Vec<Content>,
    /// Standard input; none is empty.
    pub stdin: Option<Stdin>,
    /// The file in the output directory that standard output goes to; none is the log.
    pub stdout: Option<String>,
    /// The same for standard error.
    pub stderr: Option<String>,
}

impl MountPlan {
    /// Reads the mounts of a record whose form was checked, and whose collections are known by content.
    ///
    /// # Errors
    /// Every mount that cannot be made, and why.
    pub fn of(mounts: &JsonMap, output_path: &str) -> Result<Self, Vec<MountProblem>> {
        let mut plan = Self { binds: bind_mounts(mounts), ..Self::default() };
        let mut problems = Vec::new();
        for (target, mount) in mounts {
            if let Err(problem) = plan.add(target, mount, output_path) {
                problems.push(MountProblem { target: target.clone(), problem });
            }
        }
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }

    fn add(&mut self, target: &str, mount: &Value, output_path: &str) -> Result<(), String> {
        let kind = text(mount, "kind");
        match target {
            "stdin" => self.stdin = Some(stdin(kind, mount)?),
            "stdout" | "stderr" => {
                let file = Some(output_file(kind, mount, output_path)?);
                if target == "stdout" { self.stdout = file } else { self.stderr = file }
            }
            _ if !target.starts_with('/') => return Err("must be an absolute path".to_owned()),
            _ => self.add_path(target, kind, mount, output_path)?,
        }
        Ok(())
    }

    fn add_path(
        &mut self,
        target: &str,
        kind: &str,
        mount: &Value,
        output_path: &str,
    ) -> Result<(), String> {
        match kind {
            "tmp" => self.tmp.push(target.to_owned()),
            "bind" => {}
            "collection" => {
                let collection = collection(target, mount);
                if target == output_path && !collection.writable {
                    return Err("is where the output is written: it must be writable".to_owned());
                }
                if collection.portable_data_hash.is_none() && !collection.path.is_empty() {
                    return Err("has a path, but names no collection".to_owned());
                }
                self.collections.push(collection);
            }
            "text" | "json" => self.contents.push(content(target, kind, mount)),
            "file" => {
                return Err("has the kind file, which only stdout and stderr can have".to_owned());
            }
            "keep" => {
                return Err("has the kind keep, the whole of the block store, which containers do not see here: \
                     mount the collections that are needed"
                    .to_owned());
            }
            other => return Err(format!("has the unknown kind {other:?}")),
        }
        Ok(())
    }

    /// Every collection by its content's hash, once.
    pub fn portable_data_hashes(&self) -> BTreeSet<&str> {
        let stdin = match &self.stdin {
            Some(Stdin::File { portable_data_hash, .. }) => Some(portable_data_hash.as_str()),
            _ => None,
        };
        self.collections
            .iter()
            .filter_map(|mount| mount.portable_data_hash.as_deref())
            .chain(stdin)
            .collect()
    }
}

/// Bytes that a record's `tmp` mounts ask for together. They are no limit on what is written (Arvados): a container
/// begins where the disk has so much free.
pub fn scratch_bytes(mounts: &JsonMap) -> u64 {
    let tmp = mounts.values().filter(|mount| text(mount, "kind") == "tmp");
    let capacity = |mount: &Value| mount.get("capacity").and_then(Value::as_u64).unwrap_or(0);
    tmp.map(capacity).fold(0, u64::saturating_add)
}

/// Mounts that nobody is shown again, as they are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretPlan {
    /// Files.
    pub contents: Vec<Content>,
    /// Standard input.
    pub stdin: Option<String>,
}

impl SecretPlan {
    /// Reads secret mounts whose form was checked.
    ///
    /// # Errors
    /// Every mount that cannot be made, and why.
    pub fn of(mounts: &JsonMap) -> Result<Self, Vec<MountProblem>> {
        let mut plan = Self::default();
        let mut problems = Vec::new();
        for (target, mount) in mounts {
            let kind = text(mount, "kind");
            if !matches!(kind, "text" | "json") {
                let problem = format!("has the kind {kind:?}: a secret is text or json");
                problems.push(MountProblem { target: target.clone(), problem });
                continue;
            }
            let content = content(target, kind, mount);
            if target == "stdin" {
                plan.stdin = Some(content.text);
            } else {
                plan.contents.push(content);
            }
        }
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }
}

/// The mounts without fields that say nothing, so that filled-in zeroes are no change.
pub fn without_zeroes(mounts: &JsonMap) -> Value {
    let kept = |mount: &Value| match mount {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !is_zero(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<JsonMap>()
            .into(),
        other => other.clone(),
    };
    mounts.iter().map(|(target, mount)| (target.clone(), kept(mount))).collect::<JsonMap>().into()
}

/// Whether a value says nothing.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Whether `path` is `directory` or lies below it.
pub fn is_within(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn text<'a>(mount: &'a Value, member: &str) -> &'a str {
    mount.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn flag(mount: &Value, member: &str) -> bool {
    mount.get(member).and_then(Value::as_bool).unwrap_or(false)
}

fn collection(target: &str, mount: &Value) -> CollectionMount {
    // Until a request is committed, a collection may be named by its identifier instead.
    let hash = match text(mount, "portable_data_hash") {
        "" => text(mount, "uuid"),
        hash => hash,
    };
    CollectionMount {
        target: target.to_owned(),
        portable_data_hash: Some(hash.to_owned()).filter(|hash| !hash.is_empty()),
        path: plain_path(text(mount, "path")),
        writable: flag(mount, "writable"),
        exclude_from_output: flag(mount, "exclude_from_output"),
    }
}

/// A path within a collection: without empty components and dots.
fn plain_path(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

fn content(target: &str, kind: &str, mount: &Value) -> Content {
    let content = mount.get("content").unwrap_or(&Value::Null);
    let text = match content {
        Value::String(text) if kind == "text" => text.clone(),
        value => value.to_string(),
    };
    let exclude_from_output = flag(mount, "exclude_from_output");
    Content { target: target.to_owned(), text, exclude_from_output }
}

fn stdin(kind: &str, mount: &Value) -> Result<Stdin, String> {
    match kind {
        "text" | "json" => Ok(Stdin::Text(content("stdin", kind, mount).text)),
        "collection" => {
            let CollectionMount { portable_data_hash, path, .. } = collection("stdin", mount);
            match portable_data_hash {
                Some(portable_data_hash) if !path.is_empty() => {
                    Ok(Stdin::File { portable_data_hash, path })
                }
                _ => Err("must name a collection and a path to a file in it".to_owned()),
            }
        }
        _ => Err(format!(
            "has the kind {kind:?}: standard input is a collection's file, text or json"
        )),
    }
}

fn output_file(kind: &str, mount: &Value, output_path: &str) -> Result<String, String> {
    let path = text(mount, "path");
    if kind != "file" {
        return Err(format!("has the kind {kind:?}: a stream goes to a file"));
    }
    let below =
        is_within(path, output_path) && path.trim_end_matches('/').len() > output_path.len();
    let is_plain = path.split('/').all(|part| !matches!(part, "." | ".."));
    if below && is_plain {
        Ok(path.to_owned())
    } else {
        Err(format!("must have a path below output_path ({output_path}), has {path:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> JsonMap {
        let Value::Object(map) = value else { panic!("{value} is no object") };
        map
    }

    fn plan(mounts: Value) -> Result<MountPlan, Vec<MountProblem>> {
        MountPlan::of(&map(mounts), "/out")
    }

    const HASH: &str = "1f4b0bc7583c2a7f9102c395f4ffc5e3+45";

    #[test]
    fn each_kind_has_its_list() {
        let plan = plan(json!({
            "/out": {"kind": "tmp", "capacity": 1},
            "/keep/a": {"kind": "collection", "portable_data_hash": HASH, "path": "/sub//x/"},
            "/out/w": {"kind": "collection", "portable_data_hash": HASH, "writable": true},
            "/etc/j": {"kind": "json", "content": {"a": [1]}},
            "/etc/t": {"kind": "text", "content": "hello"},
            "/srv": {"kind": "bind", "path": "/data"},
            "stdin": {"kind": "collection", "portable_data_hash": HASH, "path": "in.txt"},
            "stdout": {"kind": "file", "path": "/out/log.txt"},
        }))
        .unwrap();
        assert_eq!(plan.tmp, ["/out"]);
        assert_eq!((plan.binds.len(), plan.collections.len()), (1, 2));
        assert_eq!(plan.collections[0].path, "sub/x");
        assert!(plan.collections[1].writable && !plan.collections[0].writable);
        let texts: Vec<&str> = plan.contents.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, [r#"{"a":[1]}"#, "hello"]);
        assert_eq!(plan.stdout.as_deref(), Some("/out/log.txt"));
        assert_eq!(plan.portable_data_hashes(), [HASH].into());
    }

    #[test]
    fn what_cannot_be_made_is_named_with_the_reason() {
        for (mounts, expected) in [
            (json!({"/k": {"kind": "keep"}}), "mount the collections that are needed"),
            (json!({"/f": {"kind": "file", "path": "/x"}}), "only stdout and stderr"),
            (json!({"stdout": {"kind": "file", "path": "/outer/x"}}), "below output_path (/out)"),
            (json!({"stdout": {"kind": "file", "path": "/out/../x"}}), "below output_path"),
            (json!({"stdout": {"kind": "file", "path": "/out/"}}), "below output_path"),
            (json!({"stderr": {"kind": "text", "content": ""}}), "goes to a file"),
            (json!({"stdin": {"kind": "tmp"}}), "standard input is"),
            (json!({"stdin": {"kind": "collection", "portable_data_hash": HASH}}), "a path to"),
            (json!({"/out": {"kind": "collection", "portable_data_hash": HASH}}), "be writable"),
            (json!({"/in": {"kind": "collection", "path": "x"}}), "names no collection"),
        ] {
            let words = plan(mounts.clone()).unwrap_err()[0].to_string();
            assert!(words.contains(expected), "{mounts}: {words:?} lacks {expected:?}");
        }
    }

    #[test]
    fn secrets_are_text_or_json_and_never_shown() {
        let secrets = json!({
            "/s": {"kind": "text", "content": "sesame"},
            "stdin": {"kind": "json", "content": {"k": 1}},
        });
        let plan = SecretPlan::of(&map(secrets)).unwrap();
        assert_eq!(plan.stdin.as_deref(), Some(r#"{"k":1}"#));
        assert_eq!(plan.contents[0].text, "sesame");
        assert!(!format!("{:?}", plan.contents).contains("sesame"));
        assert!(SecretPlan::of(&map(json!({"/s": {"kind": "tmp"}}))).is_err());
    }

    #[test]
    fn what_tmp_mounts_ask_for_is_summed_up() {
        let mounts = json!({
            "/out": {"kind": "tmp", "capacity": 5}, "/tmp": {"kind": "tmp", "capacity": u64::MAX},
            "/a": {"kind": "tmp"}, "/b": {"kind": "tmp", "capacity": null},
            "/c": {"kind": "collection", "capacity": 7},
        });
        assert_eq!(scratch_bytes(&map(mounts)), u64::MAX);
        assert_eq!(scratch_bytes(&map(json!({"/out": {"kind": "tmp", "capacity": 5}}))), 5);
        assert_eq!(scratch_bytes(&JsonMap::new()), 0);
    }

    #[test]
    fn within_means_whole_components() {
        assert!(is_within("/out/a", "/out") && is_within("/out", "/out/") && is_within("/a", "/"));
        assert!(!is_within("/output", "/out") && !is_within("/", "/out"));
    }
}
