//! Blocks as files in a directory.
//!
//! ```text
//! <dir>/abc/abc4…            a block, named by its hash, in one of 4096 folders
//! <dir>/abc/abc4….trash      one in the trash; its time of change is when it went there
//! <dir>/drafts/<random>      one being written
//! ```
//!
//! Invariants: a file under a block's name is complete, since it got that name by `rename` after
//! `fsync`; moving files of a folder in or out is done under a lock on that folder (`flock`), which
//! other processes on the same directory honour too.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use manifest::{BLOCK_BYTES_MAX, BlockHash, BlockHasher};

use crate::blocking;
use crate::error::KeepError;
use crate::volume::{Block, BlockStatus, Draft, StoredBlock, Volume};

mod copy;
mod draft;
mod folder;

use copy::copy_range;
use draft::FileDraft;
use folder::Folder;

/// Folders, by the first three hexadecimal digits of the hash.
const FOLDERS: u16 = 4096;
/// Bytes read at a time when a block is verified.
const VERIFY_BYTES: usize = 256 << 10;
/// Where drafts are; on the same file system, so that they can be renamed.
pub(crate) const DRAFTS: &str = "drafts";

/// Blocks as files in a directory, which may be shared by several processes.
#[derive(Debug, Clone)]
pub struct FileVolume {
    root: Arc<Path>,
}

impl FileVolume {
    /// Opens the directory, making it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn open(root: &Path) -> Result<Self, KeepError> {
        let root: Arc<Path> = root.into();
        let volume = Self { root: Arc::clone(&root) };
        blocking(move || make_directory(&root).and_then(|()| make_directory(&root.join(DRAFTS))))
            .await?;
        Ok(volume)
    }

    fn folder(&self, hash: BlockHash) -> Folder {
        Folder::new(&self.root, &hash.to_string()[..3])
    }
}

/// Makes a directory that only we can read, with those above it; one that is there is left alone.
fn make_directory(path: &Path) -> Result<(), KeepError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(KeepError::io("make", path))
}

/// `None` for what is not there.
fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Volume for FileVolume {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Draft>, KeepError>> {
        let root = Arc::clone(&self.root);
        blocking(move || {
            let draft = FileDraft::begin(&root)?;
            Ok(Box::new(draft) as Box<dyn Draft>)
        })
        .boxed()
    }

    fn open(&self, hash: BlockHash) -> BoxFuture<'_, Result<Option<Box<dyn Block>>, KeepError>> {
        let path = self.folder(hash).block(hash);
        blocking(move || {
            let file = if_there(File::open(&path)).map_err(KeepError::io("open", &path))?;
            let Some(file) = file else { return Ok(None) };
            let block = FileBlock::verified(file, hash, path)?;
            Ok(Some(Box::new(block) as Box<dyn Block>))
        })
        .boxed()
    }

    fn status(&self, hash: BlockHash) -> BoxFuture<'_, Result<Option<BlockStatus>, KeepError>> {
        let folder = self.folder(hash);
        blocking(move || folder.status(&folder.block(hash))).boxed()
    }

    fn n_folders(&self) -> u16 {
        FOLDERS
    }

    fn list(&self, folder: u16) -> BoxFuture<'_, Result<Vec<StoredBlock>, KeepError>> {
        let folder = Folder::new(&self.root, &format!("{folder:03x}"));
        blocking(move || folder.list()).boxed()
    }

    fn trash(
        &self,
        hash: BlockHash,
        written_before: SystemTime,
    ) -> BoxFuture<'_, Result<bool, KeepError>> {
        let folder = self.folder(hash);
        blocking(move || folder.trash(hash, written_before)).boxed()
    }

    fn untrash(&self, hash: BlockHash) -> BoxFuture<'_, Result<bool, KeepError>> {
        let folder = self.folder(hash);
        blocking(move || folder.untrash(hash)).boxed()
    }

    fn delete(
        &self,
        hash: BlockHash,
        trashed_before: SystemTime,
    ) -> BoxFuture<'_, Result<bool, KeepError>> {
        let folder = self.folder(hash);
        blocking(move || folder.delete(hash, trashed_before)).boxed()
    }

    fn discard_drafts(&self, before: SystemTime) -> BoxFuture<'_, Result<u64, KeepError>> {
        let root = Arc::clone(&self.root);
        blocking(move || draft::discard(&root, before)).boxed()
    }
}

/// An open file with the right bytes.
#[derive(Debug)]
pub(crate) struct FileBlock {
    file: Arc<File>,
    path: PathBuf,
    size: u64,
}

impl FileBlock {
    /// A file whose bytes were checked already; `path` is for messages.
    pub(crate) fn checked(file: File, path: PathBuf, size: u64) -> Self {
        Self { file: Arc::new(file), path, size }
    }

    /// Reads all of it once: the pages are then in the system's cache for whoever reads it next.
    fn verified(mut file: File, hash: BlockHash, path: PathBuf) -> Result<Self, KeepError> {
        let mut hasher = BlockHasher::new();
        let mut buffer = vec![0; VERIFY_BYTES];
        let mut size = 0;
        loop {
            let n_read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n_read) => n_read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(KeepError::io("read", &path)(error)),
            };
            hasher.update(&buffer[..n_read]);
            size += n_read as u64;
            if size > BLOCK_BYTES_MAX {
                return Err(KeepError::Corrupt(hash));
            }
        }
        if hasher.finish() != hash {
            return Err(KeepError::Corrupt(hash));
        }
        Ok(Self { file: Arc::new(file), path, size })
    }
}

impl Block for FileBlock {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, KeepError>> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        blocking(move || {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, offset).map_err(KeepError::io("read", &path))?;
            Ok(bytes.into())
        })
        .boxed()
    }

    fn copy(
        &self,
        range: Range<u64>,
        out: Arc<File>,
        out_offset: u64,
    ) -> BoxFuture<'_, Result<(), KeepError>> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        blocking(move || {
            copy_range(&file, range, &out, out_offset).map_err(KeepError::io("copy", &path))
        })
        .boxed()
    }
}
