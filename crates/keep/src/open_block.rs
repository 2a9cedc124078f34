//! A block on its way out.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use manifest::BlockHash;
use tokio::sync::OwnedSemaphorePermit;

use crate::BUFFER_BYTES;
use crate::error::KeepError;
use crate::volume::Block;

/// What is copied at a time: the kernel does it, and who copies may look in between whether it is still
/// wanted.
pub const COPY_BYTES: u64 = 16 << 20;

/// A block open for reading, whose bytes are those of its name; holds one buffer.
#[derive(Debug)]
pub struct OpenBlock {
    hash: BlockHash,
    /// None for the empty block.
    block: Option<Box<dyn Block>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl OpenBlock {
    pub(crate) fn new(
        hash: BlockHash,
        block: Box<dyn Block>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { hash, block: Some(block), _permit: Some(permit) }
    }

    pub(crate) fn empty() -> Self {
        Self { hash: BlockHash::EMPTY, block: None, _permit: None }
    }

    /// Its name.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.block.as_ref().map_or(0, |block| block.size())
    }

    /// Up to [`BUFFER_BYTES`] from `offset` on; fewer at the end of the block or of `len`.
    ///
    /// # Errors
    /// When the range leaves the block, or the disk fails.
    pub async fn read_piece(&self, offset: u64, len: u64) -> Result<Bytes, KeepError> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size());
        let (Some(_inside), Some(block)) = (end, &self.block) else {
            return if len == 0 { Ok(Bytes::new()) } else { Err(KeepError::Range(self.hash)) };
        };
        let n = usize::try_from(len).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        block.read(offset, n).await
    }

    /// Writes up to [`COPY_BYTES`] from `offset` on into a file, at `out_offset` there; fewer at the end of
    /// `len`. Answers how many.
    ///
    /// # Errors
    /// When the range leaves the block, or either disk fails.
    pub async fn copy_piece(
        &self,
        offset: u64,
        len: u64,
        out: &Arc<File>,
        out_offset: u64,
    ) -> Result<u64, KeepError> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size());
        let (Some(_inside), Some(block)) = (end, &self.block) else {
            return if len == 0 { Ok(0) } else { Err(KeepError::Range(self.hash)) };
        };
        let n = len.min(COPY_BYTES);
        block.copy(offset..offset + n, Arc::clone(out), out_offset).await?;
        Ok(n)
    }

    /// A range in memory.
    ///
    /// # Errors
    /// As [`OpenBlock::read_piece`].
    pub async fn read(&self, offset: u64, len: u64) -> Result<Bytes, KeepError> {
        let mut bytes = BytesMut::new();
        while (bytes.len() as u64) < len {
            let n_read = bytes.len() as u64;
            let piece = self.read_piece(offset + n_read, len - n_read).await?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// A range in pieces, one read at a time.
    pub fn stream(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, KeepError>> + Send {
        stream::try_unfold((self, range), |(block, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let piece = block.read_piece(range.start, range.end - range.start).await?;
            let rest = range.start + piece.len() as u64..range.end;
            Ok(Some((piece, (block, rest))))
        })
    }
}
