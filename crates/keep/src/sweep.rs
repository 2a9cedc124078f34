//! Garbage: blocks that nothing refers to go to the trash, and from there for good.

use std::collections::HashSet;
use std::time::SystemTime;

use manifest::BlockHash;

use crate::error::KeepError;
use crate::site::Keep;
use crate::volume::{StoredBlock, Volume};

/// What a sweep may take.
#[derive(Debug, Clone)]
pub struct SweepRules {
    /// Blocks that something refers to, or referred to while a signature of its may still be used.
    pub referenced: HashSet<BlockHash>,
    /// Only blocks last written before this may go to the trash: longer ago than signatures hold,
    /// since whoever wrote a block may refer to it until then.
    pub written_before: SystemTime,
    /// Blocks that went to the trash before this are deleted.
    pub trashed_before: SystemTime,
    /// Drafts last written to before this are deleted.
    pub drafts_before: SystemTime,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blocks that stay.
    pub n_kept: u64,
    /// Their bytes.
    pub n_kept_bytes: u64,
    /// Blocks moved to the trash.
    pub n_trashed: u64,
    /// Blocks taken out of it, since something refers to them.
    pub n_untrashed: u64,
    /// Blocks deleted.
    pub n_deleted: u64,
    /// Drafts deleted.
    pub n_drafts: u64,
}

impl Keep {
    /// Goes through all blocks of volumes that can be written to. Safe beside writers, readers and
    /// another sweep: each block is looked at again before it goes, and writers win.
    ///
    /// # Errors
    /// When a volume fails, once the others are done; what was done until then stays done.
    pub async fn sweep(&self, rules: &SweepRules) -> Result<Swept, KeepError> {
        let mut swept = Swept::default();
        let mut fault = None;
        for mount in self.mounts().filter(|mount| !mount.read_only) {
            if let Err(error) = sweep_volume(&*mount.volume, rules, &mut swept).await {
                tracing::error!(error = ?error, volume = mount.name, "a volume cannot be swept");
                fault = Some(error);
            }
        }
        fault.map_or(Ok(swept), Err)
    }
}

async fn sweep_volume(
    volume: &dyn Volume,
    rules: &SweepRules,
    swept: &mut Swept,
) -> Result<(), KeepError> {
    for folder in 0..volume.n_folders() {
        for block in volume.list(folder).await? {
            sweep_block(volume, block, rules, swept).await?;
        }
    }
    swept.n_drafts += volume.discard_drafts(rules.drafts_before).await?;
    Ok(())
}

async fn sweep_block(
    volume: &dyn Volume,
    block: StoredBlock,
    rules: &SweepRules,
    swept: &mut Swept,
) -> Result<(), KeepError> {
    let StoredBlock { hash, status, in_trash } = block;
    let is_referenced = rules.referenced.contains(&hash);
    if in_trash {
        if is_referenced {
            swept.n_untrashed += u64::from(volume.untrash(hash).await?);
        } else if status.stored_at < rules.trashed_before {
            swept.n_deleted += u64::from(volume.delete(hash, rules.trashed_before).await?);
        }
        return Ok(());
    }
    let goes = !is_referenced && status.stored_at < rules.written_before;
    if goes && volume.trash(hash, rules.written_before).await? {
        swept.n_trashed += 1;
    } else {
        swept.n_kept += 1;
        swept.n_kept_bytes += status.size;
    }
    Ok(())
}
