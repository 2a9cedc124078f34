//! A block on its way in.

use bytes::BytesMut;
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};
use tokio::sync::OwnedSemaphorePermit;

use crate::BUFFER_BYTES;
use crate::error::KeepError;
use crate::volume::Draft;

/// A block being written, in pieces of any size; holds one buffer. Dropped before it is finished, it
/// leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    draft: Box<dyn Draft>,
    buffer: BytesMut,
    n_bytes: u64,
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    pub(crate) fn new(draft: Box<dyn Draft>, permit: OwnedSemaphorePermit) -> Self {
        Self { draft, buffer: BytesMut::new(), n_bytes: 0, _permit: permit }
    }

    /// Bytes so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`KeepError::TooLarge`], or when the disk fails. The upload is over then.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<(), KeepError> {
        self.n_bytes += piece.len() as u64;
        if self.n_bytes > BLOCK_BYTES_MAX {
            return Err(KeepError::TooLarge);
        }
        while !piece.is_empty() {
            let (now, later) = piece.split_at(piece.len().min(BUFFER_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            piece = later;
            if self.buffer.len() == BUFFER_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Makes the block permanent: what this answers survives power loss.
    ///
    /// # Errors
    /// [`KeepError::Mismatch`] where it is not the block expected.
    pub async fn finish(mut self, expected: Option<BlockHash>) -> Result<Locator, KeepError> {
        if self.n_bytes == 0 {
            // Always there, and stored nowhere.
            return match expected.filter(|hash| *hash != BlockHash::EMPTY) {
                Some(expected) => Err(KeepError::Mismatch { expected, found: BlockHash::EMPTY }),
                None => Ok(Locator::empty()),
            };
        }
        self.flush().await?;
        self.draft.finish(expected).await
    }

    async fn flush(&mut self) -> Result<(), KeepError> {
        let piece = self.buffer.split().freeze();
        self.draft.write(piece).await
    }
}
