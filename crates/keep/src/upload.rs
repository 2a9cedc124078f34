//! A block on its way in.

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};
use tokio::sync::OwnedSemaphorePermit;

use crate::BUFFER_BYTES;
use crate::error::KeepError;
use crate::placement::{self, Need, Stored};
use crate::site::Keep;
use crate::volume::Draft;

/// A block being written, in pieces of any size; holds one buffer. Dropped before it is finished, it
/// leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    keep: Keep,
    /// One for each volume that takes the block: its index, and what is written there.
    drafts: Vec<(usize, Box<dyn Draft>)>,
    /// Volumes that come in when others fail.
    spare: Vec<usize>,
    /// What is wanted, nothing counted yet.
    need: Need,
    /// What the last volume that failed said.
    fault: Option<KeepError>,
    buffer: BytesMut,
    n_bytes: u64,
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    pub(crate) fn new(
        keep: Keep,
        drafts: Vec<(usize, Box<dyn Draft>)>,
        spare: Vec<usize>,
        need: Need,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let (fault, buffer) = (None, BytesMut::new());
        Self { keep, drafts, spare, need, fault, buffer, n_bytes: 0, _permit: permit }
    }

    /// Bytes so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`KeepError::TooLarge`], or when no volume is left that did not fail. The upload is over then.
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
    /// As [`Upload::store`].
    pub async fn finish(self, expected: Option<BlockHash>) -> Result<Locator, KeepError> {
        Ok(self.store(expected).await?.locator)
    }

    /// Makes the block permanent, and says on how many volumes it is.
    ///
    /// # Errors
    /// [`KeepError::Mismatch`] where it is not the block expected, and [`KeepError::TooFewCopies`] where
    /// too few volumes took it.
    pub async fn store(mut self, expected: Option<BlockHash>) -> Result<Stored, KeepError> {
        if self.n_bytes == 0 {
            // Always there, and stored nowhere.
            if let Some(expected) = expected.filter(|hash| *hash != BlockHash::EMPTY) {
                return Err(KeepError::Mismatch { expected, found: BlockHash::EMPTY });
            }
            let on = self.drafts.iter().map(|(index, _)| self.keep.mount(*index));
            return Ok(placement::stored(Locator::empty(), on));
        }
        self.flush().await?;
        let drafts = std::mem::take(&mut self.drafts);
        let finishing = drafts
            .into_iter()
            .map(|(index, draft)| async move { (index, draft.finish(expected).await) });
        let (mut on, mut locator) = (Vec::new(), None);
        for (index, finished) in join_all(finishing).await {
            match finished {
                Ok(found) => {
                    self.need.count(self.keep.mount(index));
                    on.push(index);
                    locator = Some(found);
                }
                Err(error @ KeepError::Mismatch { .. }) => return Err(error),
                Err(error) => self.note(index, error),
            }
        }
        let Some(locator) = locator else {
            return Err(self.fault.unwrap_or(KeepError::Interrupted));
        };
        self.fill_up(&locator, &mut on).await;
        if let Some((stored, wanted)) = self.need.lack() {
            let source = Box::new(self.fault.unwrap_or(KeepError::Interrupted));
            return Err(KeepError::TooFewCopies { stored, wanted, source });
        }
        let on = on.into_iter().map(|index| self.keep.mount(index));
        Ok(placement::stored(locator, on))
    }

    /// Copies the block to spare volumes in place of those that failed.
    async fn fill_up(&mut self, locator: &Locator, on: &mut Vec<usize>) {
        for index in std::mem::take(&mut self.spare) {
            let (Some(from), mount) = (on.first().copied(), self.keep.mount(index)) else { return };
            if !self.need.is_helped_by(mount) {
                continue;
            }
            match self.keep.copy(locator, from, index).await {
                Ok(()) => {
                    self.need.count(self.keep.mount(index));
                    on.push(index);
                }
                Err(error) => self.note(index, error),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), KeepError> {
        let piece: Bytes = self.buffer.split().freeze();
        let drafts = std::mem::take(&mut self.drafts);
        let writing = drafts.into_iter().map(|(index, mut draft)| {
            let piece = piece.clone();
            async move {
                let written = draft.write(piece).await;
                (index, draft, written)
            }
        });
        for (index, draft, written) in join_all(writing).await {
            match written {
                Ok(()) => self.drafts.push((index, draft)),
                Err(error) => self.note(index, error),
            }
        }
        if self.drafts.is_empty() {
            return Err(self.fault.take().unwrap_or(KeepError::Interrupted));
        }
        Ok(())
    }

    fn note(&mut self, index: usize, error: KeepError) {
        let mount = self.keep.mount(index);
        tracing::error!(error = ?error, volume = mount.name, "a block cannot be written");
        mount.note_trouble();
        self.fault = Some(error);
    }
}
