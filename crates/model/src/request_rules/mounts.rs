//! Mounts in a request: which there are, what each may say, and which can be made.

use std::path::PathBuf;

use serde_json::Value;

use crate::mounts::{MountPlan, MountProblem, SecretPlan, is_zero};
use crate::records::{ContainerRequest, JsonMap};
use crate::{BindMount, FieldError};

/// Whether a request may show paths of the host in its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindPolicy<'a> {
    /// It may show these directories and what is below them.
    Below(&'a [PathBuf]),
    /// It may not, and this is why: words that follow "asks for a path of the host".
    Refused(&'a str),
}

/// Fields that every kind has.
const COMMON: &[&str] = &["kind", "exclude_from_output"];

/// The fields of a kind; none where there is no such kind.
fn fields_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "tmp" => &["capacity", "device_type"],
        "collection" => &["uuid", "portable_data_hash", "writable", "path"],
        "keep" => &[],
        "file" => &["path"],
        "json" | "text" => &["content"],
        // Ours: a path of the host, for services on a machine of one's own.
        "bind" => &["path", "writable"],
        _ => return None,
    })
}

/// The form of all mounts, in any state of the request.
pub(super) fn check(mounts: &JsonMap, secrets: &JsonMap, problems: &mut Vec<FieldError>) {
    for (target, mount) in mounts {
        check_one("mounts", target, mount, problems);
        if secrets.contains_key(target) {
            let problem = "is also in secret_mounts: a path can be mounted once";
            problems.push(FieldError::new(field("mounts", target), problem));
        }
    }
    for (target, mount) in secrets {
        if matches!(target.as_str(), "stdout" | "stderr") {
            let problem = "must be stdin or an absolute path";
            problems.push(FieldError::new(field("secret_mounts", target), problem));
        }
        check_one("secret_mounts", target, mount, problems);
    }
}

fn field(attribute: &str, target: &str) -> String {
    format!("{attribute}[{:?}]", target.chars().take(80).collect::<String>())
}

fn check_one(attribute: &str, target: &str, mount: &Value, problems: &mut Vec<FieldError>) {
    let field = field(attribute, target);
    let mut refuse = |member: &str, problem: String| {
        let field = if member.is_empty() { field.clone() } else { format!("{field}.{member}") };
        problems.push(FieldError::new(field, problem));
    };
    let stream = matches!(target, "stdin" | "stdout" | "stderr");
    if !stream && !is_plain_absolute(target) {
        let problem = "must be an absolute path without . and .., or stdin, stdout or stderr";
        refuse("", problem.to_owned());
    }
    let Value::Object(members) = mount else {
        return refuse("", "must be an object such as {\"kind\": \"tmp\"}".to_owned());
    };
    let kind = members.get("kind").and_then(Value::as_str).unwrap_or_default();
    let Some(fields) = fields_of(kind) else {
        let problem = "must be one of tmp, collection, keep, file, json, text, bind";
        return refuse("kind", problem.to_owned());
    };
    for (name, value) in members {
        let known = COMMON.contains(&name.as_str()) || fields.contains(&name.as_str());
        if !known && !is_zero(value) {
            refuse(name, format!("is no field of a mount of kind {kind}"));
        }
    }
    for name in ["writable", "exclude_from_output"] {
        if members.get(name).is_some_and(|value| !value.is_null() && !value.is_boolean()) {
            refuse(name, "must be true or false".to_owned());
        }
    }
    match kind {
        "tmp" if members.get("capacity").is_some_and(|c| !c.is_null() && c.as_u64().is_none()) => {
            refuse("capacity", "must be a number of bytes".to_owned());
        }
        "text" if !members.get("content").is_some_and(Value::is_string) => {
            refuse("content", "must be text".to_owned());
        }
        "json" if !members.contains_key("content") => {
            refuse("content", "must be there".to_owned());
        }
        "bind" => match members.get("path").and_then(Value::as_str) {
            Some(path) if is_plain_absolute(path) => {}
            _ => refuse("path", "must be an absolute path of the host without . and ..".to_owned()),
        },
        _ => {}
    }
    if kind == "bind" && stream {
        refuse("", "is a stream: a path of the host cannot be bound to it".to_owned());
    }
}

/// Absolute, and without components that lead elsewhere.
fn is_plain_absolute(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains('\0')
        && path.split('/').all(|component| !matches!(component, "." | ".."))
}

/// Which mounts can be made here: all that [`MountPlan`] takes, and `bind` where the policy allows it.
pub(super) fn check_supported(
    request: &ContainerRequest,
    binds: BindPolicy<'_>,
    problems: &mut Vec<FieldError>,
) {
    if let Err(found) = MountPlan::of(&request.mounts, &request.output_path) {
        let named = |problem: MountProblem| {
            FieldError::new(field("mounts", &problem.target), problem.problem)
        };
        problems.extend(found.into_iter().map(named));
    }
    if let Err(found) = SecretPlan::of(&request.secret_mounts) {
        let named = |problem: MountProblem| {
            FieldError::new(field("secret_mounts", &problem.target), problem.problem)
        };
        problems.extend(found.into_iter().map(named));
    }
    for bind in bind_mounts(&request.mounts) {
        let shown = bind.source.display();
        let problem = match binds {
            BindPolicy::Below(directories) => {
                if directories.iter().any(|directory| bind.source.starts_with(directory)) {
                    continue;
                }
                let allowed: Vec<_> = directories.iter().map(|d| d.display().to_string()).collect();
                format!(
                    "asks for the path {shown} of the host, which is not below {}",
                    allowed.join(", ")
                )
            }
            BindPolicy::Refused(why) => {
                format!("asks for the path {:?} of the host: {why}", bind.source)
            }
        };
        problems.push(FieldError::new(field("mounts", &bind.target), problem));
    }
}

/// The paths of the host that checked mounts show in the container.
pub fn bind_mounts(mounts: &JsonMap) -> Vec<BindMount> {
    mounts
        .iter()
        .filter(|(_, mount)| mount.get("kind").and_then(Value::as_str) == Some("bind"))
        .filter_map(|(target, mount)| {
            Some(BindMount {
                source: mount.get("path")?.as_str()?.into(),
                target: target.clone(),
                writable: mount.get("writable").and_then(Value::as_bool).unwrap_or(false),
            })
        })
        .collect()
}
