//! A block on its way in: while one piece of it is hashed and written, the next one comes.

use std::fmt;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};
use tokio::sync::OwnedSemaphorePermit;

use crate::BUFFER_BYTES;
use crate::error::KeepError;
use crate::placement::{self, Need, Stored};
use crate::site::Keep;
use crate::volume::Draft;

/// What is written at a time; the other half of the buffer is filled meanwhile.
const PIECE_BYTES: usize = BUFFER_BYTES / 2;

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
    /// The half that nothing is in.
    spare_buffer: BytesMut,
    writing: Option<Writing>,
    n_bytes: u64,
    _permit: OwnedSemaphorePermit,
}

/// A piece on its way to all volumes, which have the drafts meanwhile.
struct Writing {
    piece: Bytes,
    outcomes: BoxFuture<'static, Vec<Outcome>>,
}

type Outcome = (usize, Box<dyn Draft>, Result<(), KeepError>);

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").field("n_bytes", &self.piece.len()).finish_non_exhaustive()
    }
}

impl Upload {
    pub(crate) fn new(
        keep: Keep,
        drafts: Vec<(usize, Box<dyn Draft>)>,
        spare: Vec<usize>,
        need: Need,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            keep,
            drafts,
            spare,
            need,
            fault: None,
            buffer: BytesMut::new(),
            spare_buffer: BytesMut::new(),
            writing: None,
            n_bytes: 0,
            _permit: permit,
        }
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
            if self.buffer.is_empty() {
                self.buffer.reserve(PIECE_BYTES);
            }
            let (now, later) = piece.split_at(piece.len().min(PIECE_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            piece = later;
            if self.buffer.len() == PIECE_BYTES {
                self.begin_writing().await?;
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
        self.begin_writing().await?;
        self.end_writing().await?;
        let drafts = std::mem::take(&mut self.drafts);
        let finishing = drafts
            .into_iter()
            .map(|(index, draft)| async move { (index, draft.finish(expected).await) });
        let (mut on, mut locator) = (Vec::new(), None);
        for (index, finished) in join_all(finishing).await {
            match finished {
                Ok(found) => {
                    let mount = self.keep.mount(index);
                    mount.note_success();
                    self.need.count(mount);
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

    /// Sends what is in the buffer on its way, once what was before it has arrived.
    async fn begin_writing(&mut self) -> Result<(), KeepError> {
        self.end_writing().await?;
        let spare = std::mem::take(&mut self.spare_buffer);
        let piece = std::mem::replace(&mut self.buffer, spare).freeze();
        let drafts = std::mem::take(&mut self.drafts);
        let written = piece.clone();
        let writing = drafts.into_iter().map(move |(index, mut draft)| {
            let piece = written.clone();
            async move {
                let outcome = draft.write(piece).await;
                (index, draft, outcome)
            }
        });
        let mut outcomes = join_all(writing).boxed();
        // Asked once, which starts the work on other threads; it is asked again before the next piece.
        match (&mut outcomes).now_or_never() {
            Some(outcomes) => self.take_back(outcomes, piece),
            None => {
                self.writing = Some(Writing { piece, outcomes });
                Ok(())
            }
        }
    }

    async fn end_writing(&mut self) -> Result<(), KeepError> {
        let Some(Writing { piece, outcomes }) = self.writing.take() else { return Ok(()) };
        let outcomes = outcomes.await;
        self.take_back(outcomes, piece)
    }

    fn take_back(&mut self, outcomes: Vec<Outcome>, piece: Bytes) -> Result<(), KeepError> {
        if let Ok(mut buffer) = piece.try_into_mut() {
            buffer.clear();
            self.spare_buffer = buffer;
        }
        for (index, draft, written) in outcomes {
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
