//! Trees of files in blocks: a directory becomes a manifest, a manifest becomes a directory, and
//! ranges of files are read.
//!
//! Neither leaves the directory it was given: links are never followed by the kernel, but looked at
//! and followed here, inside the directory alone.

mod beneath;
mod packer;
mod reader;
mod restore;
mod save;
mod walk;

use std::io;
use std::path::PathBuf;

use crate::error::KeepError;

pub use reader::read_range;
pub use restore::restore;
pub use save::{PathFilter, SaveOptions, Saved, save};

/// Why a tree was not saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum TreeFault {
    /// A block could not be written or read.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// A link leads out of the tree, or nowhere.
    #[error("{path:?} is a link to {target:?}, which is not inside the tree")]
    LeadsOut {
        /// The link, from the top of the tree.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Links lead in a circle, or from one to the next too often.
    #[error("{0:?} is a link that leads in a circle, or through too many others")]
    Circle(String),
    /// A name that a manifest cannot have.
    #[error("{0:?} cannot be saved: names must be UTF-8, and paths not longer than 4096 bytes")]
    Name(String),
    /// More files than a manifest may have.
    #[error("the tree has too many files")]
    TooManyFiles,
    /// Nothing is at the path in the manifest.
    #[error("there is nothing at {0:?} in the collection")]
    NoSuchPath(String),
    /// Something is both a file and a directory.
    #[error(transparent)]
    Manifest(#[from] manifest::TreeError),
    /// Disk or system failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The work ended without an answer: a panic, or the process is going down.
    #[error("the work on a tree was interrupted")]
    Interrupted,
}

/// Runs what blocks on a thread where that may be.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TreeFault> + Send + 'static,
) -> Result<T, TreeFault> {
    tokio::task::spawn_blocking(work).await.map_err(|_going_down| TreeFault::Interrupted)?
}
