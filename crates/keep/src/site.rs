//! The block store of a site: its volumes as one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::KeepError;
use crate::open_block::OpenBlock;
use crate::upload::Upload;
use crate::volume::{BlockStatus, Volume};

/// How a site keeps blocks.
#[derive(Debug, Clone)]
pub struct KeepOptions {
    /// Blocks that are read and written at the same time; each transfer holds
    /// [`crate::BUFFER_BYTES`].
    pub buffers: u32,
    /// How long a transfer waits for its buffer.
    pub buffer_timeout: Duration,
    /// How many copies a stored block counts as. We store one; what the disk below is worth is for
    /// the site to say.
    pub replication: u32,
    /// Names of the storage classes that every volume here is of.
    pub storage_classes: Vec<String>,
}

impl Default for KeepOptions {
    fn default() -> Self {
        Self {
            buffers: 128,
            buffer_timeout: Duration::from_secs(30),
            replication: 2,
            storage_classes: vec!["default".to_owned()],
        }
    }
}

/// The blocks of a site. Clones are the same.
#[derive(Debug, Clone)]
pub struct Keep(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    volumes: Vec<Arc<dyn Volume>>,
    buffers: Arc<Semaphore>,
    options: KeepOptions,
}

impl Keep {
    /// Blocks on these volumes.
    pub fn new(volumes: Vec<Arc<dyn Volume>>, options: KeepOptions) -> Self {
        let buffers = Arc::new(Semaphore::new(options.buffers.max(1) as usize));
        Self(Arc::new(Inner { volumes, buffers, options }))
    }

    /// How the site keeps blocks.
    pub fn options(&self) -> &KeepOptions {
        &self.0.options
    }

    /// The volumes.
    pub fn volumes(&self) -> &[Arc<dyn Volume>] {
        &self.0.volumes
    }

    /// Begins to write a block. `hash` is its name where that is known, and spreads blocks over
    /// volumes.
    ///
    /// # Errors
    /// [`KeepError::Busy`], [`KeepError::Full`], or when the disk fails.
    pub async fn begin(&self, hash: Option<BlockHash>) -> Result<Upload, KeepError> {
        let buffer = self.buffer().await?;
        let n_volumes = self.0.volumes.len();
        let first = hash.map_or(0, |hash| usize::from(hash.as_bytes()[0])) % n_volumes.max(1);
        let mut refusal = KeepError::Full;
        for index in 0..n_volumes {
            match self.0.volumes[(first + index) % n_volumes].begin().await {
                Ok(draft) => return Ok(Upload::new(draft, buffer)),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
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
    /// [`KeepError::Corrupt`] where no copy has the right bytes.
    pub async fn open(&self, hash: BlockHash) -> Result<Option<OpenBlock>, KeepError> {
        if hash == BlockHash::EMPTY {
            return Ok(Some(OpenBlock::empty()));
        }
        let buffer = self.buffer().await?;
        let mut fault = None;
        for volume in &self.0.volumes {
            match volume.open(hash).await {
                Ok(Some(block)) => return Ok(Some(OpenBlock::new(hash, block, buffer))),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = ?error, volume = ?volume, "a block cannot be read");
                    fault = Some(error);
                }
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// A whole block in memory: for blocks known to be small, and tests.
    ///
    /// # Errors
    /// [`KeepError::Missing`], [`KeepError::Corrupt`], or when the disk fails.
    pub async fn get(&self, locator: &Locator) -> Result<Bytes, KeepError> {
        let hash = locator.hash();
        let block = self.open(hash).await?.ok_or(KeepError::Missing(hash))?;
        block.read(0, block.size()).await
    }

    /// What is known of a block without reading it.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn status(&self, hash: BlockHash) -> Result<Option<BlockStatus>, KeepError> {
        for volume in &self.0.volumes {
            if let Some(status) = volume.status(hash).await? {
                return Ok(Some(status));
            }
        }
        Ok(None)
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
