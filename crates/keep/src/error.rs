//! What can go wrong with blocks.

use std::io;
use std::path::{Path, PathBuf};

use manifest::{BLOCK_BYTES_MAX, BlockHash};

/// Why a block was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The bytes are not those of the block that was named.
    #[error("the bytes have the MD5 {found}, not {expected}")]
    Mismatch {
        /// The block's name.
        expected: BlockHash,
        /// The MD5 of what came.
        found: BlockHash,
    },
    /// A block larger than blocks may be.
    #[error("a block has {BLOCK_BYTES_MAX} bytes at most")]
    TooLarge,
    /// No volume has the block.
    #[error("the block {0} is not stored here")]
    Missing(BlockHash),
    /// Every copy that is there has other bytes than it should; none of them was given out.
    #[error("the block {0} is corrupt on disk: its bytes were not given out; store it again")]
    Corrupt(BlockHash),
    /// A range reaches beyond the block.
    #[error("the range is not inside the block {0}")]
    Range(BlockHash),
    /// No volume has room.
    #[error("the disk that holds the blocks is full: free some space and try again")]
    Full,
    /// All buffers were in use for too long.
    #[error("too many blocks are being read and written: try again (Collections.BlockBuffers)")]
    Busy,
    /// Disk or system failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A volume over the network failed. Its text may be shown to whoever asked; the cause names
    /// servers.
    #[error("cannot {doing} on the volume {volume}")]
    Remote {
        /// The step.
        doing: &'static str,
        /// The volume's name in the config.
        volume: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Volumes failed, and too few took the block. Those that did keep it until it is swept.
    #[error("the block has {stored} of the {wanted} copies that it shall have: {source}")]
    TooFewCopies {
        /// Copies of the class that has too few.
        stored: u32,
        /// Copies that were asked for, and that all volumes together can keep.
        wanted: u32,
        /// What the last of the volumes that failed said.
        #[source]
        source: Box<KeepError>,
    },
    /// Nothing here is of the storage class.
    #[error("no volume that can be written to is of the storage class {class:?}; there is {known}")]
    NoSuchClass {
        /// As asked for.
        class: String,
        /// Those that there are.
        known: String,
    },
    /// The work ended without an answer: a panic, or the process is going down.
    #[error("the work on a block was interrupted")]
    Interrupted,
}

impl KeepError {
    /// Whether trying again later can help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Full | Self::Busy | Self::Interrupted | Self::Remote { .. } => true,
            Self::TooFewCopies { source, .. } => source.is_temporary(),
            _ => false,
        }
    }

    /// For `map_err`: what was being done, and to what.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}
