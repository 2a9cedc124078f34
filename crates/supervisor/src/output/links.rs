//! What a symbolic link in an output means: inside the container, where the host's own paths do not exist.

use std::path::{Path, PathBuf};

use manifest::Node;
use model::mounts::is_within;

use crate::inputs::OutputPlan;

/// Links to links that are followed.
const LINKS_MAX: usize = 32;

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A file of the output, on the host.
    File(PathBuf),
    /// A directory of the output, on the host.
    Directory(PathBuf),
    /// A file or directory of a collection that the container was shown.
    Shown(Node),
    /// Nothing that can be output; the words follow the link's name.
    Nothing(String),
}

/// Resolves the link at `path` of the output, which lies at `host`.
pub(super) fn resolve(plan: &OutputPlan, path: &str, host: &Path) -> Meaning {
    let mut at = format!("{}/{path}", plan.path);
    let mut host = host.to_owned();
    for _link in 0..LINKS_MAX {
        let Some(target) =
            std::fs::read_link(&host).ok().and_then(|it| it.into_os_string().into_string().ok())
        else {
            return Meaning::Nothing("cannot be read".to_owned());
        };
        at = joined(parent_of(&at), &target);
        if let Some(node) = shown_at(plan, &at) {
            return Meaning::Shown(node);
        }
        if !is_within(&at, &plan.path) {
            return Meaning::Nothing(format!(
                "leads out of the output and of what was mounted, to {target}"
            ));
        }
        match look(plan, &at) {
            Look::Link(next) => host = next,
            // It would hold itself.
            Look::Directory(_) if is_within(&format!("{}/{path}", plan.path), &at) => {
                return Meaning::Nothing(format!("leads to a directory that it is in, {target}"));
            }
            Look::Directory(dir) => return Meaning::Directory(dir),
            Look::File(file) => return Meaning::File(file),
            Look::Nothing => return Meaning::Nothing(format!("leads to nothing, {target}")),
        }
    }
    Meaning::Nothing("leads through too many links".to_owned())
}

/// What of a collection is at a path of the container.
fn shown_at(plan: &OutputPlan, at: &str) -> Option<Node> {
    let shown = plan.shown.iter().filter(|(target, _)| is_within(at, target));
    let (target, node) = shown.max_by_key(|(target, _)| target.len())?;
    let below = at[target.len().min(at.len())..].split('/').filter(|part| !part.is_empty());
    let mut node = node;
    for name in below {
        node = node.entries().find(|(entry, _)| *entry == name).map(|(_, node)| node)?;
    }
    Some(node.clone())
}

enum Look {
    Link(PathBuf),
    Directory(PathBuf),
    File(PathBuf),
    Nothing,
}

/// What is at a path of the output; a link on the way to it counts as nothing, since it could lead anywhere.
fn look(plan: &OutputPlan, at: &str) -> Look {
    let below = at[plan.path.len().min(at.len())..].trim_start_matches('/');
    let mut host = plan.dir.clone();
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    for (n, part) in parts.iter().enumerate() {
        host.push(part);
        let Ok(metadata) = std::fs::symlink_metadata(&host) else { return Look::Nothing };
        let is_last = n + 1 == parts.len();
        let kind = metadata.file_type();
        if is_last && kind.is_symlink() {
            return Look::Link(host);
        }
        if is_last && kind.is_file() {
            return Look::File(host);
        }
        if !kind.is_dir() {
            return Look::Nothing;
        }
    }
    Look::Directory(host)
}

fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A target, from a directory on, without dots.
fn joined(directory: &str, target: &str) -> String {
    let whole =
        if target.starts_with('/') { target.to_owned() } else { format!("{directory}/{target}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
