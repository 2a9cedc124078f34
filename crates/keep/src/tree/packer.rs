//! Files one behind the other, cut into blocks: small files share them.

use std::sync::Arc;

use manifest::{BLOCK_BYTES_MAX, Segment};

use super::{TreeFault, blocking};
use crate::BUFFER_BYTES;
use crate::site::Keep;
use crate::upload::Upload;

/// Fills blocks with files.
pub(super) struct Packer {
    keep: Keep,
    block: Option<Upload>,
    /// What lies in the block that is being filled: number of the file, where, how much.
    pending: Vec<(usize, u64, u64)>,
    /// What the files consist of, as far as their blocks are stored.
    segments: Vec<Vec<Segment>>,
}

impl Packer {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, block: None, pending: Vec::new(), segments: Vec::new() }
    }

    /// The next file, from its start to its end as it is now.
    pub(super) async fn add(&mut self, file: std::fs::File) -> Result<(), TreeFault> {
        let number = self.segments.len();
        self.segments.push(Vec::new());
        let file = Arc::new(file);
        let mut offset = 0;
        loop {
            let n_in_block = self.block.as_ref().map_or(0, Upload::n_bytes);
            let n = (BLOCK_BYTES_MAX - n_in_block).min(BUFFER_BYTES as u64);
            let piece = read_piece(&file, offset, n).await?;
            if piece.is_empty() {
                return Ok(());
            }
            let block = match &mut self.block {
                Some(block) => block,
                none => none.insert(self.keep.begin(None).await?),
            };
            block.write(&piece).await?;
            let len = piece.len() as u64;
            offset += len;
            match self.pending.last_mut() {
                Some((last, start, known)) if *last == number && *start + *known == n_in_block => {
                    *known += len;
                }
                _ => self.pending.push((number, n_in_block, len)),
            }
            if n_in_block + len == BLOCK_BYTES_MAX {
                self.flush().await?;
            }
        }
    }

    /// What each file consists of, in the order in which they came.
    pub(super) async fn finish(mut self) -> Result<Vec<Vec<Segment>>, TreeFault> {
        self.flush().await?;
        Ok(self.segments)
    }

    async fn flush(&mut self) -> Result<(), TreeFault> {
        let Some(block) = self.block.take() else { return Ok(()) };
        let locator = block.finish(None).await?;
        for (number, offset, len) in self.pending.drain(..) {
            self.segments[number].push(Segment { locator: locator.clone(), offset, len });
        }
        Ok(())
    }
}

async fn read_piece(file: &Arc<std::fs::File>, offset: u64, n: u64) -> Result<Vec<u8>, TreeFault> {
    use std::os::unix::fs::FileExt as _;
    let file = Arc::clone(file);
    blocking(move || {
        let mut bytes = vec![0; usize::try_from(n).unwrap_or(BUFFER_BYTES)];
        let mut n_read = 0;
        while n_read < bytes.len() {
            match file.read_at(&mut bytes[n_read..], offset + n_read as u64) {
                Ok(0) => break,
                Ok(n) => n_read += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(TreeFault::Io { doing: "read", path: "a file".into(), source });
                }
            }
        }
        bytes.truncate(n_read);
        Ok(bytes)
    })
    .await
}
