//! One of a volume's folders: what is in it, and moving it in and out under its lock.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use manifest::BlockHash;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{if_there, make_directory};
use crate::error::KeepError;
use crate::volume::{BlockStatus, StoredBlock};

/// How long another process may hold a folder's lock: it renames a file meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Between tries for the lock.
const LOCK_POLL: Duration = Duration::from_millis(2);
const TRASH_SUFFIX: &str = ".trash";

/// `<root>/<three digits>`; may not be there yet.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    path: PathBuf,
}

/// Held while files of a folder are moved; given up when dropped.
#[derive(Debug)]
struct Locked(File);

impl Folder {
    pub(super) fn new(root: &Path, digits: &str) -> Self {
        Self { root: root.to_owned(), path: root.join(digits) }
    }

    pub(super) fn block(&self, hash: BlockHash) -> PathBuf {
        self.path.join(hash.to_string())
    }

    fn in_trash(&self, hash: BlockHash) -> PathBuf {
        self.path.join(format!("{hash}{TRASH_SUFFIX}"))
    }

    /// Moves a complete draft in; when this returns it is there after a power loss too. Takes the
    /// place of a block of the same name, whose bytes may have gone bad.
    pub(super) fn take_in(&self, draft: &Path, hash: BlockHash) -> Result<(), KeepError> {
        if !self.is_there()? {
            make_directory(&self.path)?;
            sync_directory(&self.root)?;
        }
        let Some(locked) = self.lock()? else {
            let error = io::Error::from(io::ErrorKind::NotFound);
            return Err(KeepError::io("lock", &self.path)(error));
        };
        let block = self.block(hash);
        fs::rename(draft, &block).map_err(KeepError::io("move a block to", &block))?;
        locked.0.sync_all().map_err(KeepError::io("sync", &self.path))
    }

    pub(super) fn trash(
        &self,
        hash: BlockHash,
        written_before: SystemTime,
    ) -> Result<bool, KeepError> {
        let Some(_locked) = self.lock()? else { return Ok(false) };
        let (block, trash) = (self.block(hash), self.in_trash(hash));
        match self.status(&block)? {
            Some(status) if status.stored_at < written_before => {}
            _ => return Ok(false),
        }
        // The time first: a crash in between leaves a block that is new rather than one in the trash
        // for ages.
        touch(&block)?;
        fs::rename(&block, &trash).map_err(KeepError::io("move to the trash", &block))?;
        Ok(true)
    }

    pub(super) fn untrash(&self, hash: BlockHash) -> Result<bool, KeepError> {
        let Some(locked) = self.lock()? else { return Ok(false) };
        let (block, trash) = (self.block(hash), self.in_trash(hash));
        if self.status(&trash)?.is_none() || self.status(&block)?.is_some() {
            return Ok(false);
        }
        touch(&trash)?;
        fs::rename(&trash, &block).map_err(KeepError::io("move out of the trash", &trash))?;
        locked.0.sync_all().map_err(KeepError::io("sync", &self.path))?;
        Ok(true)
    }

    pub(super) fn delete(
        &self,
        hash: BlockHash,
        trashed_before: SystemTime,
    ) -> Result<bool, KeepError> {
        let Some(_locked) = self.lock()? else { return Ok(false) };
        let trash = self.in_trash(hash);
        match self.status(&trash)? {
            Some(status) if status.stored_at < trashed_before => {}
            _ => return Ok(false),
        }
        fs::remove_file(&trash).map_err(KeepError::io("delete", &trash))?;
        Ok(true)
    }

    pub(super) fn status(&self, path: &Path) -> Result<Option<BlockStatus>, KeepError> {
        let found = if_there(fs::symlink_metadata(path)).map_err(KeepError::io("look at", path))?;
        let Some(metadata) = found else { return Ok(None) };
        let stored_at = metadata.modified().map_err(KeepError::io("look at", path))?;
        Ok(Some(BlockStatus { size: metadata.len(), stored_at }))
    }

    /// What is in it; other files than blocks are passed over.
    pub(super) fn list(&self) -> Result<Vec<StoredBlock>, KeepError> {
        let failed = |error| KeepError::io("list", &self.path)(error);
        let Some(entries) = if_there(fs::read_dir(&self.path)).map_err(failed)? else {
            return Ok(Vec::new());
        };
        let mut blocks = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let (digits, in_trash) =
                name.strip_suffix(TRASH_SUFFIX).map_or((name, false), |digits| (digits, true));
            let Some(hash) = BlockHash::parse(digits) else { continue };
            // Gone meanwhile is no longer in the list.
            if let Some(status) = self.status(&entry.path())? {
                blocks.push(StoredBlock { hash, status, in_trash });
            }
        }
        Ok(blocks)
    }

    fn is_there(&self) -> Result<bool, KeepError> {
        self.path.try_exists().map_err(KeepError::io("look at", &self.path))
    }

    /// The lock on this folder, none where there is no folder.
    fn lock(&self) -> Result<Option<Locked>, KeepError> {
        let opened = if_there(File::open(&self.path)).map_err(KeepError::io("open", &self.path))?;
        let Some(folder) = opened else { return Ok(None) };
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Locked(folder))),
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(Errno::WOULDBLOCK) => return Err(KeepError::Busy),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(KeepError::io("lock", &self.path)(errno.into())),
            }
        }
    }
}

fn touch(path: &Path) -> Result<(), KeepError> {
    let now = FileTimes::new().set_modified(SystemTime::now());
    let touched = File::options().write(true).open(path).and_then(|file| file.set_times(now));
    touched.map_err(KeepError::io("set the time of", path))
}

/// Makes names in a directory permanent.
pub(super) fn sync_directory(path: &Path) -> Result<(), KeepError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(KeepError::io("sync", path))
}
