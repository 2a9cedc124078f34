//! Everything in a directory, links inside it followed, in an order that depends on names alone.

use std::ffi::OsString;

use manifest::{SEGMENTS_MAX, check_path};
use rustix::fs::FileType;

use super::TreeFault;
use super::beneath::{Beneath, shown};

/// Links to directories on the way to one file: a tree of links into itself must end.
const DIRECTORY_LINKS_MAX: u32 = 10;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files: path in the manifest, and the place of the file without links.
    pub(super) files: Vec<(String, Vec<OsString>)>,
    /// Directories with nothing in them.
    pub(super) empty_directories: Vec<String>,
    /// Sockets, pipes and devices, which have no bytes to keep.
    pub(super) skipped: Vec<String>,
}

/// A directory that is still to be looked at.
struct Todo {
    place: Vec<OsString>,
    /// Path in the manifest; `""` is the top.
    path: String,
    n_links: u32,
}

/// Looks through the whole tree; `filter` says of each path whether it is wanted.
pub(super) fn walk(
    beneath: &Beneath,
    filter: &(dyn Fn(&str) -> bool + Send + Sync),
) -> Result<Listing, TreeFault> {
    let mut listing = Listing::default();
    // Not recursive: how deep a tree is, is for others to say.
    let mut todo = vec![Todo { place: Vec::new(), path: String::new(), n_links: 0 }];
    while let Some(directory) = todo.pop() {
        let entries = beneath.list(&directory.place)?;
        if entries.is_empty() && !directory.path.is_empty() && filter(&directory.path) {
            listing.empty_directories.push(directory.path.clone());
        }
        for (name, kind) in entries {
            let path = path_of(&directory, &name)?;
            let place: Vec<OsString> = directory.place.iter().cloned().chain([name]).collect();
            let is_link = kind == FileType::Symlink;
            let (place, kind) = if is_link {
                match beneath.follow(&place) {
                    Ok(found) => (found.place, found.kind),
                    // What nobody wants may lead where it likes.
                    Err(_) if !filter(&path) => continue,
                    Err(fault) => return Err(fault),
                }
            } else {
                (place, kind)
            };
            match kind {
                FileType::Directory => {
                    let n_links = directory.n_links + u32::from(is_link);
                    let is_circle = is_link && directory.place.starts_with(&place);
                    if is_circle || n_links > DIRECTORY_LINKS_MAX {
                        return Err(TreeFault::Circle(path));
                    }
                    todo.push(Todo { place, path, n_links });
                }
                FileType::RegularFile if filter(&path) => listing.files.push((path, place)),
                FileType::RegularFile => {}
                _ => listing.skipped.push(path),
            }
            let n_found = listing.files.len() + listing.empty_directories.len() + todo.len();
            if n_found as u64 > SEGMENTS_MAX {
                return Err(TreeFault::TooManyFiles);
            }
        }
    }
    listing.files.sort_unstable();
    Ok(listing)
}

fn path_of(directory: &Todo, name: &OsString) -> Result<String, TreeFault> {
    let wrong = || TreeFault::Name(shown(&[OsString::from(&directory.path), name.clone()]));
    let name = name.to_str().ok_or_else(wrong)?;
    let path = if directory.path.is_empty() {
        name.to_owned()
    } else {
        format!("{}/{name}", directory.path)
    };
    check_path(&path).map_err(|_too_long| wrong())?;
    Ok(path)
}
