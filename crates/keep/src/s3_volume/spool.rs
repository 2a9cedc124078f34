//! A block under way: a file without a name, hashed as it is written.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use manifest::{BLOCK_BYTES_MAX, BlockHash, BlockHasher};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::error::KeepError;
use crate::file_volume::FileBlock;
use crate::volume::Block;
use crate::{BUFFER_BYTES, blocking};

/// Goes away when it is dropped, whatever happens.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    /// The directory, for messages.
    directory: PathBuf,
    hasher: BlockHasher,
    size: u64,
    /// Small pieces wait here until they are worth a trip to another thread.
    pending: BytesMut,
}

impl Spool {
    pub(super) async fn begin(directory: &Path) -> Result<Self, KeepError> {
        let directory = directory.to_owned();
        blocking(move || {
            let mut random = [0; 16];
            SystemRandom::new().fill(&mut random).map_err(|_unspecified| KeepError::Interrupted)?;
            let path = directory.join(format!("{:032x}", u128::from_ne_bytes(random)));
            let mut options = File::options();
            options.read(true).write(true).create_new(true).mode(0o600);
            let file = options.open(&path).map_err(KeepError::io("make", &path))?;
            fs::remove_file(&path).map_err(KeepError::io("delete", &path))?;
            let (hasher, pending) = (BlockHasher::new(), BytesMut::new());
            Ok(Self { file, directory, hasher, size: 0, pending })
        })
        .await
    }

    pub(super) async fn write(mut self, piece: Bytes) -> Result<Self, KeepError> {
        self.pending.extend_from_slice(&piece);
        if self.pending.len() < BUFFER_BYTES {
            return Ok(self);
        }
        blocking(move || self.flush()).await
    }

    fn flush(mut self) -> Result<Self, KeepError> {
        let piece = self.pending.split();
        self.size += piece.len() as u64;
        if self.size > BLOCK_BYTES_MAX {
            return Err(KeepError::TooLarge);
        }
        self.hasher.update(&piece);
        self.file.write_all(&piece).map_err(KeepError::io("write in", &self.directory))?;
        Ok(self)
    }

    /// All of it, in pieces, and its name.
    pub(super) async fn into_bytes(self) -> Result<(Vec<Bytes>, BlockHash, u64), KeepError> {
        blocking(move || {
            use std::os::unix::fs::FileExt as _;
            let Self { file, directory, hasher, size, .. } = self.flush()?;
            let mut pieces = Vec::new();
            let mut offset = 0;
            while offset < size {
                let rest = usize::try_from(size - offset).unwrap_or(BUFFER_BYTES);
                let mut piece = vec![0; rest.min(BUFFER_BYTES)];
                let read = file.read_exact_at(&mut piece, offset);
                read.map_err(KeepError::io("read in", &directory))?;
                offset += piece.len() as u64;
                pieces.push(Bytes::from(piece));
            }
            Ok((pieces, hasher.finish(), size))
        })
        .await
    }

    /// A block that is known to be this one.
    ///
    /// # Errors
    /// [`KeepError::Corrupt`] where it is another.
    pub(super) async fn into_block(self, hash: BlockHash) -> Result<Box<dyn Block>, KeepError> {
        blocking(move || {
            let flushed = self.flush().map_err(|error| match error {
                KeepError::TooLarge => KeepError::Corrupt(hash),
                other => other,
            })?;
            let Self { file, directory, hasher, size, .. } = flushed;
            if hasher.finish() != hash {
                return Err(KeepError::Corrupt(hash));
            }
            Ok(Box::new(FileBlock::checked(file, directory, size)) as Box<dyn Block>)
        })
        .await
    }
}
