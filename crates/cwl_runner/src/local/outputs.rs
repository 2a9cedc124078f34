//! What a program left, and where links in it may lead: into the output directory, and to inputs.

use std::fs;
use std::path::{Component, Path, PathBuf};

use cwl::stage::Content;
use cwl::storage::{Entry, Stat, Storage};
use cwl::uri;

use super::placing::real_path;
use crate::disk::{Disk, at, path_of};
use crate::job::{Ended, Job, PlaceKind};

/// Most links that lead to each other.
const LINKS_MAX: usize = 40;

/// What a program left in `dir`.
pub(super) fn ended(job: &Job, dir: &Path, exit_code: i64, as_asked: bool) -> Ended {
    let mut staged = Vec::new();
    for (n, item) in job.staged.iter().enumerate() {
        let location = match &item.content {
            Content::File(location) | Content::Folder(location) => Some(location.clone()),
            Content::Secret(_) => None,
            _ => real_path(job, dir, n, item).map(|path| uri::from_path(&path)),
        };
        staged.extend(location.map(|location| (item.target.clone(), location)));
    }
    let storage = OutputStorage {
        root: dir.join("out"),
        seen: PathBuf::from(&job.place.outdir),
        staged: staged.clone(),
        is_host: matches!(job.place.kind, PlaceKind::Host),
    };
    Ended {
        exit_code,
        as_asked,
        root: uri::from_path(&dir.join("out")),
        storage: std::sync::Arc::new(storage),
        staged,
    }
}

/// Reads this machine's files, and follows links in an output directory as the program meant them.
#[derive(Debug)]
struct OutputStorage {
    root: PathBuf,
    seen: PathBuf,
    staged: Vec<(String, String)>,
    is_host: bool,
}

impl OutputStorage {
    /// Where a path below the output directory really is.
    fn follow(&self, path: &Path) -> Result<PathBuf, String> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            let Some((link, rest)) = self.first_link(&path) else { return Ok(path) };
            let target = fs::read_link(&link).map_err(|error| at(&link, &error))?;
            let next = if target.is_absolute() {
                target.clone()
            } else {
                plain(&self.as_seen(link.parent().unwrap_or(&self.root)).join(&target))
            };
            match self.placed(&next) {
                Some(found) if rest.as_os_str().is_empty() => path = found,
                Some(found) => path = found.join(rest),
                None => {
                    return Err(format!(
                        "{} is a link to {}, which is neither an output nor an input",
                        link.display(),
                        target.display()
                    ));
                }
            }
            if !path.starts_with(&self.root) {
                return Ok(path);
            }
        }
        Err(format!("{}: too many links that lead to each other", path.display()))
    }

    /// The first part of a path below the root that is a link, and what follows it.
    fn first_link(&self, path: &Path) -> Option<(PathBuf, PathBuf)> {
        let relative = path.strip_prefix(&self.root).ok()?;
        let mut so_far = self.root.clone();
        let mut parts = relative.components();
        while let Some(part) = parts.next() {
            so_far.push(part);
            if fs::symlink_metadata(&so_far).is_ok_and(|found| found.is_symlink()) {
                return Some((so_far, parts.as_path().to_owned()));
            }
        }
        None
    }

    /// A path of ours as the program saw it.
    fn as_seen(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).map_or_else(|_| path.to_owned(), |rest| self.seen.join(rest))
    }

    /// Where a path that the program saw lies here; `None` where it is not the program's to give.
    fn placed(&self, path: &Path) -> Option<PathBuf> {
        if let Ok(rest) = path.strip_prefix(&self.seen) {
            return Some(if rest.as_os_str().is_empty() {
                self.root.clone()
            } else {
                self.root.join(rest)
            });
        }
        for (target, location) in &self.staged {
            let source = path_of(location).ok()?;
            if let Ok(rest) = path.strip_prefix(target) {
                return Some(if rest.as_os_str().is_empty() { source } else { source.join(rest) });
            }
            // Without a container, inputs are links to where they are.
            let real = fs::canonicalize(&source).unwrap_or(source);
            if self.is_host && path.starts_with(&real) {
                return Some(path.to_owned());
            }
        }
        None
    }
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

impl Storage for OutputStorage {
    fn stat(&self, location: &str) -> Result<Stat, String> {
        Disk.stat(&self.resolve(location)?)
    }

    fn list(&self, location: &str) -> Result<Vec<Entry>, String> {
        let path = path_of(&self.resolve(location)?)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).map_err(|error| at(&path, &error))? {
            let entry = entry.map_err(|error| at(&path, &error))?;
            let is_dir = self.follow(&entry.path()).is_ok_and(|path| path.is_dir());
            entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, location: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        Storage::read(&Disk, &self.resolve(location)?, bytes_max)
    }

    fn resolve(&self, location: &str) -> Result<String, String> {
        let path = path_of(location)?;
        if !path.starts_with(&self.root) {
            return Ok(location.to_owned());
        }
        self.follow(&path).map(|path| uri::from_path(&path))
    }

    fn checksum(&self, location: &str) -> Result<Option<String>, String> {
        Disk.checksum(&self.resolve(location)?)
    }
}
