//! Garbage: blocks that nothing refers to go to the trash, and from there for good. What something
//! refers to, and has fewer copies than blocks have here, gets them back ([`copies`]).

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use manifest::BlockHash;

use crate::error::KeepError;
use crate::mount::Mount;
use crate::site::Keep;
use crate::volume::{StoredBlock, Volume};

mod copies;

/// All blocks are gone through in so many parts, by the first hexadecimal digit of their hashes: what
/// is known of where they are stays small.
const PARTS: u16 = 16;

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
    /// Copies made of blocks that had too few.
    pub n_copied: u64,
    /// Blocks that have too few copies all the same: no volume takes another one.
    pub n_short: u64,
    /// Blocks that something refers to, and no volume has. Only known when every volume was seen.
    pub n_missing: u64,
}

/// Where the blocks of one part are: size, and the volumes by their index.
type Places = HashMap<BlockHash, (u64, Vec<usize>)>;

impl Keep {
    /// Goes through all blocks of volumes that can be written to. Safe beside writers, readers and
    /// another sweep: each block is looked at again before it goes, and writers win. Copies are made
    /// only while every volume can be seen: one that is away for an hour has its copies still.
    ///
    /// # Errors
    /// When a volume fails, once the others are done; what was done until then stays done.
    pub async fn sweep(&self, rules: &SweepRules) -> Result<Swept, KeepError> {
        let mut swept = Swept::default();
        let (mut failed, mut fault) = (HashSet::new(), None);
        let mut n_found = 0;
        for part in 0..PARTS {
            let mut places = Places::new();
            for (index, mount) in self.mounts().enumerate() {
                if failed.contains(&index) {
                    continue;
                }
                let found = |hash, size| {
                    places.entry(hash).or_insert((size, Vec::new())).1.push(index);
                };
                if let Err(error) = sweep_part(mount, part, rules, &mut swept, found).await {
                    tracing::error!(error = ?error, volume = mount.name, "a volume cannot be swept");
                    failed.insert(index);
                    fault = Some(error);
                }
            }
            places.retain(|hash, _| rules.referenced.contains(hash));
            n_found += places.len();
            if failed.is_empty() {
                self.restore_copies(&places, &mut swept).await;
            }
        }
        fault.map_or(Ok(()), Err)?;
        let is_stored = |hash: &&BlockHash| **hash != BlockHash::EMPTY;
        let n_wanted = rules.referenced.iter().filter(is_stored).count();
        swept.n_missing = n_wanted.saturating_sub(n_found) as u64;
        Ok(swept)
    }
}

/// Goes through one part of a volume's blocks; of one that nothing may be changed on it only tells what
/// it has.
async fn sweep_part(
    mount: &Mount,
    part: u16,
    rules: &SweepRules,
    swept: &mut Swept,
    mut found: impl FnMut(BlockHash, u64),
) -> Result<(), KeepError> {
    let volume = &*mount.volume;
    let n_folders = volume.n_folders() / PARTS;
    for folder in part * n_folders..(part + 1) * n_folders {
        for block in volume.list(folder).await? {
            let stays = match mount.read_only {
                true => !block.in_trash,
                false => sweep_block(volume, block, rules, swept).await?,
            };
            if stays {
                found(block.hash, block.status.size);
            }
        }
    }
    if part == PARTS - 1 && !mount.read_only {
        swept.n_drafts += volume.discard_drafts(rules.drafts_before).await?;
    }
    Ok(())
}

/// Whether the block is there afterwards.
async fn sweep_block(
    volume: &dyn Volume,
    block: StoredBlock,
    rules: &SweepRules,
    swept: &mut Swept,
) -> Result<bool, KeepError> {
    let StoredBlock { hash, status, in_trash } = block;
    let is_referenced = rules.referenced.contains(&hash);
    if in_trash {
        if is_referenced {
            let came_back = volume.untrash(hash).await?;
            swept.n_untrashed += u64::from(came_back);
            return Ok(came_back);
        }
        if status.stored_at < rules.trashed_before {
            swept.n_deleted += u64::from(volume.delete(hash, rules.trashed_before).await?);
        }
        return Ok(false);
    }
    let goes = !is_referenced && status.stored_at < rules.written_before;
    if goes && volume.trash(hash, rules.written_before).await? {
        swept.n_trashed += 1;
        return Ok(false);
    }
    swept.n_kept += 1;
    swept.n_kept_bytes += status.size;
    Ok(true)
}
