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
    /// The work ended without an answer: a panic, or the process is going down.
    #[error("the work on a block was interrupted")]
    Interrupted,
}

impl KeepError {
    /// Whether trying again later can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full | Self::Busy | Self::Interrupted)
    }

    /// For `map_err`: what was being done, and to what.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}
