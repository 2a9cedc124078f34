//! A directory becomes a manifest.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use manifest::{Node, Tree};

use super::beneath::Beneath;
use super::packer::Packer;
use super::walk::walk;
use super::{TreeFault, blocking};
use crate::site::Keep;

/// Says of a path, such as `sub/deep/a.bin`, whether it is wanted.
pub type PathFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What is saved of a directory.
#[derive(Clone, Default)]
pub struct SaveOptions {
    /// Which files are wanted; none wants everything.
    pub filter: Option<PathFilter>,
    /// Where the directory is for the program that filled it (`/out`): absolute links that begin with
    /// this lead inside.
    pub seen_as: Option<PathBuf>,
}

impl fmt::Debug for SaveOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveOptions").field("seen_as", &self.seen_as).finish_non_exhaustive()
    }
}

/// A directory that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its normalised manifest, without signatures.
    pub manifest_text: String,
    /// Sockets, pipes and devices: they have no bytes, and are left out.
    pub skipped: Vec<String>,
}

/// Saves everything in a directory: files are put into blocks one behind the other, links inside the
/// directory become what they lead to.
///
/// # Errors
/// [`TreeFault::LeadsOut`] for a wanted link that leads out, or when a disk fails. Blocks that were
/// written are swept later.
pub async fn save(keep: &Keep, directory: &Path, options: SaveOptions) -> Result<Saved, TreeFault> {
    let (path, SaveOptions { filter, seen_as }) = (directory.to_owned(), options);
    let (beneath, listing) = blocking(move || {
        let beneath = Beneath::open(&path, seen_as)?;
        let wants = |path: &str| filter.as_ref().is_none_or(|filter| filter(path));
        let listing = walk(&beneath, &wants)?;
        Ok((Arc::new(beneath), listing))
    })
    .await?;
    let mut packer = Packer::new(keep.clone());
    let mut paths = Vec::with_capacity(listing.files.len());
    for (path, place) in listing.files {
        let beneath = Arc::clone(&beneath);
        packer.add(blocking(move || beneath.file(&place)).await?).await?;
        paths.push(path);
    }
    let mut tree = Tree::new();
    for (path, segments) in paths.into_iter().zip(packer.finish().await?) {
        tree.put(&path, Node::File(segments))?;
    }
    for path in listing.empty_directories {
        tree.make_directory(&path)?;
    }
    Ok(Saved { manifest_text: tree.text(), skipped: listing.skipped })
}
