//! To the trash and back, without locks.
//!
//! ```text
//! sweep   look: old ─► copy to trash/ ─► look: still old, no mark ─► delete ─► look: a mark? copy back
//! writer  put ─► look into trash/: there? ─► put the mark ─► put again ─► acknowledged
//! ```
//!
//! A writer whose first put came before the sweep's second look is seen by it. One that came after
//! it finds the copy in the trash, since that was made before. Its mark is either there when the sweep
//! looks for it, and the sweep copies the block back; or the deletion was before the mark, and the
//! second put before the acknowledgement is after both.

use std::time::{Duration, SystemTime};

use manifest::BlockHash;
use object_store::{ObjectStoreExt as _, PutPayload};

use super::{S3Volume, block_key, key_below, time_of};
use crate::error::KeepError;

pub(super) const TRASH: &str = "trash";
pub(super) const RECENT: &str = "recent";

/// What went to the trash stays there so long whatever the site says: a sweep that is about to bring
/// it back needs it, and server's and our clocks may differ.
const STAY_MIN: Duration = Duration::from_secs(600);

impl S3Volume {
    pub(super) async fn move_to_trash(
        &self,
        hash: BlockHash,
        written_before: SystemTime,
    ) -> Result<bool, KeepError> {
        if !self.is_old(hash, written_before).await? {
            return Ok(false);
        }
        let (block, trash) = (block_key(hash), key_below(TRASH, hash));
        let copied = self.0.store.copy(&block, &trash).await;
        if self.if_there("copy a block to the trash", copied)?.is_none() {
            return Ok(false);
        }
        // Its time is when it went there: a server that keeps the old one would have it deleted at once.
        let Some(copy) = self.look(&trash).await? else { return Ok(false) };
        if time_of(&copy) < written_before {
            return Err(self.keeps_times());
        }
        if !self.is_old(hash, written_before).await? {
            return Ok(false);
        }
        let deleted = self.0.store.delete(&block).await;
        self.if_there("delete a block", deleted)?;
        if self.is_marked_since(hash, written_before).await? {
            let copied = self.0.store.copy(&trash, &block).await;
            copied.map_err(self.failed("bring back a block"))?;
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) async fn take_out_of_trash(&self, hash: BlockHash) -> Result<bool, KeepError> {
        let (block, trash) = (block_key(hash), key_below(TRASH, hash));
        if self.look(&block).await?.is_some() || self.look(&trash).await?.is_none() {
            return Ok(false);
        }
        // The mark first: a sweep that is about to delete the block sees it.
        let mark = key_below(RECENT, hash);
        self.put("mark a block as new", mark, PutPayload::new()).await?;
        let copied = self.0.store.copy(&trash, &block).await;
        Ok(self.if_there("take a block out of the trash", copied)?.is_some())
    }

    pub(super) async fn delete_from_trash(
        &self,
        hash: BlockHash,
        trashed_before: SystemTime,
    ) -> Result<bool, KeepError> {
        let stay = SystemTime::now().checked_sub(STAY_MIN).unwrap_or(SystemTime::UNIX_EPOCH);
        let trash = key_below(TRASH, hash);
        match self.look(&trash).await? {
            Some(meta) if time_of(&meta) < trashed_before.min(stay) => {}
            _ => return Ok(false),
        }
        for key in [trash, key_below(RECENT, hash)] {
            let deleted = self.0.store.delete(&key).await;
            self.if_there("delete a block from the trash", deleted)?;
        }
        Ok(true)
    }

    /// For a block that is not there: copies it out of the trash where somebody wrote it after it went
    /// there; whether that was so.
    pub(super) async fn bring_back(&self, hash: BlockHash) -> Result<bool, KeepError> {
        let Some(mark) = self.look(&key_below(RECENT, hash)).await? else { return Ok(false) };
        let trash = key_below(TRASH, hash);
        let Some(trashed) = self.look(&trash).await? else { return Ok(false) };
        if time_of(&mark) < time_of(&trashed) {
            return Ok(false);
        }
        let copied = self.0.store.copy(&trash, &block_key(hash)).await;
        Ok(self.if_there("bring back a block", copied)?.is_some())
    }

    /// Whether a block is there, and nobody wrote it since.
    async fn is_old(&self, hash: BlockHash, since: SystemTime) -> Result<bool, KeepError> {
        match self.look(&block_key(hash)).await? {
            Some(meta) if time_of(&meta) < since => {}
            _ => return Ok(false),
        }
        Ok(!self.is_marked_since(hash, since).await?)
    }

    async fn is_marked_since(&self, hash: BlockHash, since: SystemTime) -> Result<bool, KeepError> {
        let mark = self.look(&key_below(RECENT, hash)).await?;
        Ok(mark.is_some_and(|mark| time_of(&mark) >= since))
    }

    fn keeps_times(&self) -> KeepError {
        let words = "the server keeps the time of an object when it copies it, and nothing can go to \
            the trash there";
        KeepError::Remote {
            doing: "move a block to the trash",
            volume: self.0.name.clone(),
            source: words.into(),
        }
    }
}
