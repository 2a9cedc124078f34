//! A block being written.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use manifest::{BlockHash, Locator};
use object_store::{ObjectStoreExt as _, PutPayload};

use super::spool::Spool;
use super::trash::{RECENT, TRASH};
use super::{S3Volume, block_key, key_below};
use crate::error::KeepError;
use crate::volume::Draft;

/// Nothing of it is sent before all of it is there: a block's key is its hash.
#[derive(Debug)]
pub(super) struct S3Draft {
    volume: S3Volume,
    /// Absent for good after a write failed.
    spool: Option<Spool>,
}

impl S3Draft {
    pub(super) fn new(volume: S3Volume, spool: Spool) -> Self {
        Self { volume, spool: Some(spool) }
    }
}

impl Draft for S3Draft {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<(), KeepError>> {
        async move {
            let spool = self.spool.take().ok_or(KeepError::Interrupted)?;
            self.spool = Some(spool.write(piece).await?);
            Ok(())
        }
        .boxed()
    }

    fn finish(
        self: Box<Self>,
        expected: Option<BlockHash>,
    ) -> BoxFuture<'static, Result<Locator, KeepError>> {
        async move {
            let Self { volume, spool } = *self;
            let spool = spool.ok_or(KeepError::Interrupted)?;
            let inner = &volume.0;
            let place = tokio::time::timeout(inner.send_timeout, inner.sending.acquire()).await;
            let Ok(Ok(_place)) = place else { return Err(KeepError::Busy) };
            let (pieces, hash, size) = spool.into_bytes().await?;
            if let Some(expected) = expected.filter(|expected| *expected != hash) {
                return Err(KeepError::Mismatch { expected, found: hash });
            }
            let locator = Locator::new(hash, size).ok_or(KeepError::TooLarge)?;
            volume.send(hash, PutPayload::from_iter(pieces)).await?;
            Ok(locator)
        }
        .boxed()
    }
}

impl S3Volume {
    /// Writes a block so that no sweep that is under way takes it.
    async fn send(&self, hash: BlockHash, bytes: PutPayload) -> Result<(), KeepError> {
        self.put("write a block", block_key(hash), bytes.clone()).await?;
        if self.look(&key_below(TRASH, hash)).await?.is_some() {
            // A sweep may be about to delete it. It looks for this mark after it did, and brings the
            // block back; if it looked before, the block is deleted already, and written again here.
            let mark = key_below(RECENT, hash);
            self.put("mark a block as new", mark, PutPayload::new()).await?;
            self.put("write a block", block_key(hash), bytes).await?;
        }
        Ok(())
    }

    /// On a thread where it may take its time: all bytes are hashed for the signature first.
    pub(super) async fn put(
        &self,
        doing: &'static str,
        key: object_store::path::Path,
        bytes: PutPayload,
    ) -> Result<(), KeepError> {
        let (volume, runtime) = (self.clone(), tokio::runtime::Handle::current());
        crate::blocking(move || {
            let put = runtime.block_on(volume.0.store.put(&key, bytes));
            put.map(drop).map_err(volume.failed(doing))
        })
        .await
    }
}
