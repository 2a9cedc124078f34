//! Keep: content-addressed blocks on volumes, permissions to read them, trees of files in them.
//!
//! What it is for: a block that was acknowledged is on disk under the MD5 of its bytes, and comes
//! back as those bytes or not at all; what nothing refers to goes to the trash, and later for good.
//! What it does not do: it knows no collections, users or HTTP. Whoever has those says which blocks
//! are referred to, and who may read them.
//!
//! ```text
//! Upload ─► Drafts, one on each volume (hashed as they are written) ─whole or not at all─► stored ◄─┐
//!                                                       stored ──sweep: unreferenced, old──► trash ─┘ untrash
//!                                                       trash ───sweep: there long enough──► gone
//! ```
//!
//! Start reading at [`Keep`]; [`Volume`] is where blocks are, [`tree`] writes and reads files.

mod error;
mod file_volume;
mod mount;
mod open;
mod open_block;
mod placement;
mod s3_volume;
mod signer;
mod site;
mod sweep;
pub mod tree;
mod upload;
mod volume;

pub use error::KeepError;
pub use file_volume::FileVolume;
pub use mount::Mount;
pub use open::{OpenError, open};
pub use open_block::{COPY_BYTES, OpenBlock};
pub use placement::{Stored, Wish};
pub use s3_volume::{S3Options, S3Volume};
pub use signer::{PermissionFault, Signer};
pub use site::{Keep, KeepOptions};
pub use sweep::{SweepRules, Swept};
pub use upload::Upload;
pub use volume::{Block, BlockStatus, Draft, StoredBlock, Volume};

/// What a transfer holds of a block at a time, in bytes: large enough that hashing and writing it
/// is worth a trip to another thread, small enough that hundreds of transfers fit in memory.
pub const BUFFER_BYTES: usize = 1 << 20;

/// Runs what blocks on a thread where that may be.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeepError> + Send + 'static,
) -> Result<T, KeepError> {
    tokio::task::spawn_blocking(work).await.map_err(|_going_down| KeepError::Interrupted)?
}
