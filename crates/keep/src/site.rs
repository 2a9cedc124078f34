//! The block store of a site: its volumes as one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::BUFFER_BYTES;
use crate::error::KeepError;
use crate::mount::Mount;
use crate::open_block::OpenBlock;
use crate::placement::{self, Need, Wish};
use crate::upload::Upload;
use crate::volume::BlockStatus;

/// How a site keeps blocks.
#[derive(Debug, Clone)]
pub struct KeepOptions {
    /// Blocks that are read and written at the same time; each transfer holds
    /// [`crate::BUFFER_BYTES`].
    pub buffers: u32,
    /// How long a transfer waits for its buffer.
    pub buffer_timeout: Duration,
    /// Copies that a block gets where its writer does not say.
    pub replication: u32,
}

impl Default for KeepOptions {
    fn default() -> Self {
        Self { buffers: 128, buffer_timeout: Duration::from_secs(30), replication: 1 }
    }
}

/// The blocks of a site. Clones are the same.
#[derive(Debug, Clone)]
pub struct Keep(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// In the order in which they are read.
    mounts: Vec<Mount>,
    buffers: Arc<Semaphore>,
    options: KeepOptions,
    /// Spreads blocks whose names are not known yet.
    n_begun: AtomicUsize,
}

impl Keep {
    /// Blocks on these volumes, which are read in this order.
    pub fn new(mounts: Vec<Mount>, options: KeepOptions) -> Self {
        let buffers = Arc::new(Semaphore::new(options.buffers.max(1) as usize));
        Self(Arc::new(Inner { mounts, buffers, options, n_begun: AtomicUsize::new(0) }))
    }

    /// How the site keeps blocks.
    pub fn options(&self) -> &KeepOptions {
        &self.0.options
    }

    /// The volumes.
    pub fn mounts(&self) -> impl Iterator<Item = &Mount> {
        self.0.mounts.iter()
    }

    pub(crate) fn mount(&self, index: usize) -> &Mount {
        &self.0.mounts[index]
    }

    /// Begins to write a block, with as many copies as blocks have here. `hash` is its name where that
    /// is known, and spreads blocks over volumes.
    ///
    /// # Errors
    /// As [`Keep::begin_with`].
    pub async fn begin(&self, hash: Option<BlockHash>) -> Result<Upload, KeepError> {
        let copies = self.0.options.replication;
        self.begin_with(hash, &Wish { copies, storage_classes: Vec::new() }).await
    }

    /// Begins to write a block of which somebody asks for copies and classes.
    ///
    /// # Errors
    /// [`KeepError::Busy`], [`KeepError::NoSuchClass`], or why no volume takes it.
    pub async fn begin_with(
        &self,
        hash: Option<BlockHash>,
        wish: &Wish,
    ) -> Result<Upload, KeepError> {
        let mounts = &self.0.mounts;
        let need = Need::of(wish, mounts)?;
        let buffer = self.buffer().await?;
        let first = match hash {
            Some(hash) => usize::from(hash.as_bytes()[0]),
            None => self.0.n_begun.fetch_add(1, Ordering::Relaxed),
        };
        let (mut drafts, mut spare) = (Vec::new(), Vec::new());
        let (mut open, mut refusal) = (need.clone(), KeepError::Full);
        for index in placement::order(mounts, first) {
            let mount = &mounts[index];
            if !open.is_helped_by(mount) {
                spare.push(index);
                continue;
            }
            match mount.volume.begin().await {
                Ok(draft) => {
                    open.count(mount);
                    drafts.push((index, draft));
                }
                Err(error) => {
                    mount.note_trouble();
                    refusal = error;
                }
            }
        }
        match (drafts.is_empty(), open.lack()) {
            (true, _) => Err(refusal),
            (false, Some((stored, wanted))) => {
                Err(KeepError::TooFewCopies { stored, wanted, source: Box::new(refusal) })
            }
            (false, None) => Ok(Upload::new(self.clone(), drafts, spare, need, buffer)),
        }
    }

    /// Writes a block that is in memory.
    ///
    /// # Errors
    /// [`KeepError::TooLarge`], and those of [`Keep::begin`].
    pub async fn put(&self, block: Bytes) -> Result<Locator, KeepError> {
        if block.len() as u64 > BLOCK_BYTES_MAX {
            return Err(KeepError::TooLarge);
        }
        let mut upload = self.begin(None).await?;
        upload.write(&block).await?;
        upload.finish(None).await
    }

    /// Opens a block, verified; none where no volume has it.
    ///
    /// # Errors
    /// [`KeepError::Corrupt`] where no copy has the right bytes, or what a volume says that may have it.
    pub async fn open(&self, hash: BlockHash) -> Result<Option<OpenBlock>, KeepError> {
        if hash == BlockHash::EMPTY {
            return Ok(Some(OpenBlock::empty()));
        }
        let buffer = self.buffer().await?;
        let mut fault = None;
        for mount in self.in_order() {
            match mount.volume.open(hash).await {
                Ok(Some(block)) => return Ok(Some(OpenBlock::new(hash, block, buffer))),
                Ok(None) => {}
                Err(error) => fault = Some(self.failed(mount, error)),
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// A whole block in memory: for blocks known to be small, and tests.
    ///
    /// # Errors
    /// [`KeepError::Missing`], [`KeepError::Corrupt`], or when a volume fails.
    pub async fn get(&self, locator: &Locator) -> Result<Bytes, KeepError> {
        let hash = locator.hash();
        let block = self.open(hash).await?.ok_or(KeepError::Missing(hash))?;
        block.read(0, block.size()).await
    }

    /// What is known of a block without reading it.
    ///
    /// # Errors
    /// When none of the volumes that can be asked has it, and one fails.
    pub async fn status(&self, hash: BlockHash) -> Result<Option<BlockStatus>, KeepError> {
        let mut fault = None;
        for mount in self.in_order() {
            match mount.volume.status(hash).await {
                Ok(Some(status)) => return Ok(Some(status)),
                Ok(None) => {}
                Err(error) => fault = Some(self.failed(mount, error)),
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// Copies a block from one volume to another.
    pub(crate) async fn copy(
        &self,
        locator: &Locator,
        from: usize,
        to: usize,
    ) -> Result<(), KeepError> {
        let hash = locator.hash();
        let block = self.mount(from).volume.open(hash).await?.ok_or(KeepError::Missing(hash))?;
        let mut draft = self.mount(to).volume.begin().await?;
        let mut offset = 0;
        while offset < block.size() {
            let rest = usize::try_from(block.size() - offset).unwrap_or(BUFFER_BYTES);
            let piece = block.read(offset, rest.min(BUFFER_BYTES)).await?;
            offset += piece.len() as u64;
            draft.write(piece).await?;
        }
        draft.finish(Some(hash)).await.map(drop)
    }

    /// The order of the site, but those that failed a moment ago last.
    fn in_order(&self) -> Vec<&Mount> {
        let mut mounts: Vec<&Mount> = self.0.mounts.iter().collect();
        mounts.sort_by_key(|mount| mount.is_troubled());
        mounts
    }

    fn failed(&self, mount: &Mount, error: KeepError) -> KeepError {
        tracing::error!(error = ?error, volume = mount.name, "a block cannot be read");
        if !matches!(error, KeepError::Corrupt(_)) {
            mount.note_trouble();
        }
        error
    }

    async fn buffer(&self) -> Result<OwnedSemaphorePermit, KeepError> {
        let waiting = Arc::clone(&self.0.buffers).acquire_owned();
        match tokio::time::timeout(self.0.options.buffer_timeout, waiting).await {
            Ok(Ok(buffer)) => Ok(buffer),
            Ok(Err(_closed)) => Err(KeepError::Interrupted),
            Err(_elapsed) => Err(KeepError::Busy),
        }
    }
}
