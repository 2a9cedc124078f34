//! A block being written: a file without a name that anybody asks for.

use std::fs::{self, File};
use std::io::Write as _;
use std::num::NonZeroU64;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use manifest::{BLOCK_BYTES_MAX, BlockHash, BlockHasher, Locator};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::{Advice, fadvise};

use super::folder::Folder;
use super::{DRAFTS, if_there};
use crate::blocking;
use crate::error::KeepError;
use crate::volume::Draft;

/// After so many bytes the disk is told to begin with them.
const AHEAD_BYTES: u64 = 4 << 20;

/// A draft; the file itself goes to another thread and back with each piece.
#[derive(Debug)]
pub(super) struct FileDraft {
    /// Absent only while a piece is being written, and for good after one failed.
    file: Option<DraftFile>,
    root: PathBuf,
}

#[derive(Debug)]
struct DraftFile {
    file: File,
    path: PathBuf,
    hasher: BlockHasher,
    size: u64,
    /// How much of it the disk was told to begin with.
    begun: u64,
    /// Whether the file has become a block.
    is_finished: bool,
}

impl FileDraft {
    pub(super) fn begin(root: &Path) -> Result<Self, KeepError> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_unspecified| KeepError::Interrupted)?;
        let name = format!("{:032x}", u128::from_ne_bytes(random));
        let path = root.join(DRAFTS).join(name);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(KeepError::io("make", &path))?;
        let hasher = BlockHasher::new();
        let file = DraftFile { file, path, hasher, size: 0, begun: 0, is_finished: false };
        Ok(Self { file: Some(file), root: root.to_owned() })
    }
}

impl Draft for FileDraft {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<(), KeepError>> {
        async move {
            let file = self.file.take().ok_or(KeepError::Interrupted)?;
            self.file = Some(blocking(move || file.write(&piece)).await?);
            Ok(())
        }
        .boxed()
    }

    fn finish(
        mut self: Box<Self>,
        expected: Option<BlockHash>,
    ) -> BoxFuture<'static, Result<Locator, KeepError>> {
        async move {
            let file = self.file.take().ok_or(KeepError::Interrupted)?;
            blocking(move || file.finish(&self.root, expected)).await
        }
        .boxed()
    }
}

impl DraftFile {
    fn write(mut self, piece: &[u8]) -> Result<Self, KeepError> {
        self.size += piece.len() as u64;
        if self.size > BLOCK_BYTES_MAX {
            return Err(KeepError::TooLarge);
        }
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(KeepError::io("write", &self.path))?;
        if self.size - self.begun >= AHEAD_BYTES {
            self.begin_with_the_disk();
        }
        Ok(self)
    }

    /// The kernel begins to write what it is told is not needed, while the rest comes: the sync at the end then has the last
    /// few MiB to wait for, a hundredth of a second in place of a tenth. What is being written stays in its cache.
    fn begin_with_the_disk(&mut self) {
        let len = NonZeroU64::new(self.size - self.begun);
        // No more than a hint, which some file systems do not take.
        let _taken = fadvise(&self.file, self.begun, len, Advice::DontNeed);
        self.begun = self.size;
    }

    fn finish(mut self, root: &Path, expected: Option<BlockHash>) -> Result<Locator, KeepError> {
        let hash = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = expected.filter(|expected| *expected != hash) {
            return Err(KeepError::Mismatch { expected, found: hash });
        }
        let locator = Locator::new(hash, self.size).ok_or(KeepError::TooLarge)?;
        self.file.sync_all().map_err(KeepError::io("sync", &self.path))?;
        Folder::new(root, &hash.to_string()[..3]).take_in(&self.path, hash)?;
        self.is_finished = true;
        Ok(locator)
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // One that stays is found by the next sweep.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

/// Deletes drafts that were last written to before `before`.
pub(super) fn discard(root: &Path, before: SystemTime) -> Result<u64, KeepError> {
    let drafts = root.join(DRAFTS);
    let failed = |error| KeepError::io("list", &drafts)(error);
    let mut n_deleted = 0;
    for entry in fs::read_dir(&drafts).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let written = if_there(fs::metadata(&path).and_then(|metadata| metadata.modified()));
        if written.map_err(KeepError::io("look at", &path))?.is_some_and(|at| at < before) {
            if_there(fs::remove_file(&path)).map_err(KeepError::io("delete", &path))?;
            n_deleted += 1;
        }
    }
    Ok(n_deleted)
}
