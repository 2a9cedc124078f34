//! What a place for blocks has to do.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use manifest::{BlockHash, Locator};

use crate::error::KeepError;

/// A block that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockStatus {
    /// Its size in bytes, as stored.
    pub size: u64,
    /// When it was last written.
    pub stored_at: SystemTime,
}

/// A block in a volume's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its name.
    pub hash: BlockHash,
    /// Its size and time; for one in the trash, when it went there.
    pub status: BlockStatus,
    /// Whether it is in the trash.
    pub in_trash: bool,
}

/// A place that keeps blocks. Each call is whole or not at all, also between processes that share
/// the place.
pub trait Volume: fmt::Debug + Send + Sync {
    /// Begins to write a block whose bytes are to come.
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Draft>, KeepError>>;

    /// Opens a block, none where it is not here or in the trash. All of its bytes were read and have
    /// the right MD5 when this returns.
    ///
    /// # Errors
    /// [`KeepError::Corrupt`] where they have another.
    fn open(&self, hash: BlockHash) -> BoxFuture<'_, Result<Option<Box<dyn Block>>, KeepError>>;

    /// What is known of a block without reading it.
    fn status(&self, hash: BlockHash) -> BoxFuture<'_, Result<Option<BlockStatus>, KeepError>>;

    /// Into how many folders, by the first digits of hashes, the blocks are divided: what
    /// [`Volume::list`] gives at once stays small.
    fn n_folders(&self) -> u16;

    /// All blocks of one folder (below [`Volume::n_folders`]), those in the trash too.
    fn list(&self, folder: u16) -> BoxFuture<'_, Result<Vec<StoredBlock>, KeepError>>;

    /// Moves a block to the trash, if it was last written before `written_before`; false where it
    /// was not, or is not here. Writing a block again renews its time, so that of a sweep and a
    /// writer at the same moment the writer wins.
    fn trash(
        &self,
        hash: BlockHash,
        written_before: SystemTime,
    ) -> BoxFuture<'_, Result<bool, KeepError>>;

    /// Takes a block out of the trash, as if it were written now; false where it is not in there, or
    /// is stored beside.
    fn untrash(&self, hash: BlockHash) -> BoxFuture<'_, Result<bool, KeepError>>;

    /// Deletes a block that went to the trash before `trashed_before`; false where it did not.
    fn delete(
        &self,
        hash: BlockHash,
        trashed_before: SystemTime,
    ) -> BoxFuture<'_, Result<bool, KeepError>>;

    /// Deletes drafts that nobody has written to since `before`: their writers died.
    fn discard_drafts(&self, before: SystemTime) -> BoxFuture<'_, Result<u64, KeepError>>;
}

/// A block being written. Dropped before it is finished, it leaves nothing behind.
pub trait Draft: fmt::Debug + Send {
    /// Writes the next bytes.
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<(), KeepError>>;

    /// Makes the block permanent: when this returns it survives power loss.
    ///
    /// # Errors
    /// [`KeepError::Mismatch`] where it is not the block expected; nothing is kept then.
    fn finish(
        self: Box<Self>,
        expected: Option<BlockHash>,
    ) -> BoxFuture<'static, Result<Locator, KeepError>>;
}

/// A block open for reading; stays readable when it is moved or deleted.
pub trait Block: fmt::Debug + Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Bytes of it. The range is inside the block.
    fn read(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, KeepError>>;

    /// Writes a range of it, which is inside the block, into a file at an offset of that; without
    /// copying bytes where the file system can share them.
    fn copy(
        &self,
        range: Range<u64>,
        out: Arc<File>,
        out_offset: u64,
    ) -> BoxFuture<'_, Result<(), KeepError>>;
}
