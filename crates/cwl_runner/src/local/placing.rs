//! Puts inputs where the program expects them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use cwl::stage::{Content, Staged};

use crate::disk::{at, path_of};
use crate::job::{Job, PlaceKind};

/// Makes the folders of a job and puts in them what needs to be there. Everything else is mounted.
pub(super) fn prepare(job: &Job, dir: &Path) -> Result<(), String> {
    for name in ["out", "tmp", "stg", "lit"] {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(|error| at(&path, &error))?;
    }
    let is_mounted = matches!(job.place.kind, PlaceKind::Container(_));
    for (n, staged) in job.staged.iter().enumerate() {
        let Some(path) = real_path(job, dir, n, staged) else { continue };
        let is_below = below_outdir(job, staged).is_some();
        let has_more = job.staged.iter().any(|other| is_inside(&other.target, &staged.target));
        let link = !is_mounted
            && !staged.writable
            && !has_more
            && !matches!(
                staged.content,
                Content::Text(_) | Content::Secret(_) | Content::NewFolder
            );
        if link
            || !is_mounted
            || is_below
            || !matches!(staged.content, Content::File(_) | Content::Folder(_))
        {
            put(staged, &path, link)?;
        }
    }
    Ok(())
}

fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The part of its target below the output directory.
pub(super) fn below_outdir<'s>(job: &Job, staged: &'s Staged) -> Option<&'s str> {
    let rest = staged.target.strip_prefix(job.place.outdir.trim_end_matches('/'))?;
    rest.strip_prefix('/')
}

/// Where something that is staged lies on this machine; `None` if it is mounted from where it is.
pub(super) fn real_path(job: &Job, dir: &Path, n: usize, staged: &Staged) -> Option<PathBuf> {
    if let Some(relative) = below_outdir(job, staged) {
        return Some(dir.join("out").join(relative));
    }
    match (&job.place.kind, &staged.content) {
        (PlaceKind::Host, _) => Some(PathBuf::from(&staged.target)),
        (_, Content::Text(_) | Content::Secret(_) | Content::NewFolder) => {
            Some(dir.join("lit").join(n.to_string()))
        }
        _ => None,
    }
}

fn put(staged: &Staged, path: &Path, link: bool) -> Result<(), String> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| at(parent, &error))?;
    }
    match &staged.content {
        Content::NewFolder => fs::create_dir_all(path).map_err(|error| at(path, &error)),
        Content::Text(text) => {
            remove_file(path)?;
            fs::write(path, text).map_err(|error| at(path, &error))
        }
        Content::Secret(text) => {
            remove_file(path)?;
            let mut options = fs::OpenOptions::new();
            let opened = options.write(true).create_new(true).mode(0o600).open(path);
            let written = opened.and_then(|mut file| file.write_all(text.expose().as_bytes()));
            written.map_err(|error| at(path, &error))
        }
        Content::File(location) | Content::Folder(location) => {
            let source = path_of(location)?;
            let source = fs::canonicalize(&source).map_err(|error| at(&source, &error))?;
            remove_file(path)?;
            if link {
                return symlink(&source, path).map_err(|error| at(path, &error));
            }
            copy(&source, path)
        }
    }
}

/// Takes secrets away again: what is left is the program's output.
pub(super) fn remove_secrets(job: &Job, dir: &Path) -> Result<(), String> {
    for (n, staged) in job.staged.iter().enumerate() {
        if let (Content::Secret(_), Some(path)) = (&staged.content, real_path(job, dir, n, staged))
        {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// What was put there before under the same name.
fn remove_file(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => fs::remove_file(path).map_err(|error| at(path, &error)),
        _ => Ok(()),
    }
}

/// Copies a file or a folder with all that is in it; links become what they lead to.
pub(crate) fn copy(source: &Path, target: &Path) -> Result<(), String> {
    copy_within(source, target, 0)
}

/// Deepest nesting of folders that is copied; a link to a folder above would have no end.
const DEPTH_MAX: usize = 200;

fn copy_within(source: &Path, target: &Path, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{}: folders nested too deeply to copy", source.display()));
    }
    let found = fs::metadata(source).map_err(|error| at(source, &error))?;
    if !found.is_dir() {
        if !found.is_file() {
            return Err(format!("{} is neither a file nor a folder", source.display()));
        }
        fs::copy(source, target).map_err(|error| at(source, &error))?;
        return make_writable(target);
    }
    fs::create_dir_all(target).map_err(|error| at(target, &error))?;
    for entry in fs::read_dir(source).map_err(|error| at(source, &error))? {
        let entry = entry.map_err(|error| at(source, &error))?;
        copy_within(&entry.path(), &target.join(entry.file_name()), depth + 1)?;
    }
    Ok(())
}

/// A copy of a read-only file is ours.
fn make_writable(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(|error| at(path, &error))?.permissions().mode();
    let permissions = fs::Permissions::from_mode(mode | 0o600);
    fs::set_permissions(path, permissions).map_err(|error| at(path, &error))
}
