//! Files into blocks: small ones share a block, large ones have several.

use std::collections::BTreeMap;

use keep::{Keep, KeepError, Upload};
use manifest::{BLOCK_BYTES_MAX, Segment};

/// Writes files one after the other; see [`Packer::finish`].
#[derive(Debug)]
pub(super) struct Packer {
    keep: Keep,
    /// The block that is being filled.
    upload: Option<Upload>,
    /// Which of its bytes are whose: the path, first byte and number.
    open: Vec<(String, u64, u64)>,
    path: String,
    done: BTreeMap<String, Vec<Segment>>,
}

impl Packer {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, upload: None, open: Vec::new(), path: String::new(), done: BTreeMap::new() }
    }

    /// What is written from now on is this file's. Begin each once.
    pub(super) fn begin_file(&mut self, path: &str) {
        path.clone_into(&mut self.path);
        self.done.entry(path.to_owned()).or_default();
    }

    /// The next bytes of the file.
    pub(super) async fn write(&mut self, mut piece: &[u8]) -> Result<(), KeepError> {
        while !piece.is_empty() {
            let mut upload = match self.upload.take() {
                Some(upload) => upload,
                None => self.keep.begin(None).await?,
            };
            let offset = upload.n_bytes();
            let room = usize::try_from(BLOCK_BYTES_MAX - offset).unwrap_or(usize::MAX);
            let (now, later) = piece.split_at(piece.len().min(room));
            upload.write(now).await?;
            self.note(offset, now.len() as u64);
            piece = later;
            self.upload = Some(upload);
            if now.len() == room {
                self.close_block().await?;
            }
        }
        Ok(())
    }

    /// Makes everything permanent; the ranges of each file.
    pub(super) async fn finish(mut self) -> Result<BTreeMap<String, Vec<Segment>>, KeepError> {
        self.close_block().await?;
        Ok(self.done)
    }

    fn note(&mut self, offset: u64, n_bytes: u64) {
        match self.open.last_mut() {
            Some((path, _, len)) if *path == self.path => *len += n_bytes,
            _ => self.open.push((self.path.clone(), offset, n_bytes)),
        }
    }

    async fn close_block(&mut self) -> Result<(), KeepError> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        let locator = upload.finish(None).await?;
        for (path, offset, len) in self.open.drain(..) {
            let segment = Segment { locator: locator.clone(), offset, len };
            self.done.entry(path).or_default().push(segment);
        }
        Ok(())
    }
}
