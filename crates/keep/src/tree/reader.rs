//! Bytes of files, from their blocks.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, stream};
use manifest::Segment;

use crate::error::KeepError;
use crate::open_block::OpenBlock;
use crate::site::Keep;

/// Reads ranges of blocks; the last block stays open, since small files lie in one behind each other.
#[derive(Debug)]
pub(super) struct Reader {
    keep: Keep,
    last: Option<OpenBlock>,
}

impl Reader {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, last: None }
    }

    /// Up to [`crate::BUFFER_BYTES`] of a segment, from `from` on.
    pub(super) async fn piece(&mut self, segment: &Segment, from: u64) -> Result<Bytes, KeepError> {
        let hash = segment.locator.hash();
        if self.last.as_ref().is_none_or(|block| block.hash() != hash) {
            // Given back first: one who waits for a second buffer while holding one may wait for ever.
            self.last = None;
            let block = self.keep.open(hash).await?.ok_or(KeepError::Missing(hash))?;
            // A locator says the size too, and is part of what was checked when it was signed.
            if block.size() != segment.locator.size() {
                return Err(KeepError::Range(hash));
            }
            self.last = Some(block);
        }
        let block = self.last.as_ref().ok_or(KeepError::Interrupted)?;
        block.read_piece(segment.offset + from, segment.len - from).await
    }
}

/// A range of a file in pieces, one read at a time. What is beyond the file's end is not there.
pub fn read_range(
    keep: Keep,
    segments: Vec<Segment>,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, KeepError>> + Send {
    let parts = parts_of(segments, range);
    stream::try_unfold((Reader::new(keep), parts.into_iter(), None), |state| async move {
        let (mut reader, mut parts, current) = state;
        let Some((part, from)) = current.or_else(|| parts.next().map(|part| (part, 0))) else {
            return Ok(None);
        };
        let piece = reader.piece(&part, from).await?;
        let from = from + piece.len() as u64;
        let rest = (from < part.len).then_some((part, from));
        Ok(Some((piece, (reader, parts, rest))))
    })
}

/// The segments of a range, cut at its ends.
fn parts_of(segments: Vec<Segment>, range: Range<u64>) -> Vec<Segment> {
    let mut start = 0;
    let mut parts = Vec::new();
    for segment in segments {
        let end = start + segment.len;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            let offset = segment.offset + (from - start);
            parts.push(Segment { offset, len: to - from, ..segment });
        }
        start = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::{BlockHash, Locator};

    #[test]
    fn a_range_is_cut_out_of_its_segments() {
        let segment = |offset, len| Segment {
            locator: Locator::new(BlockHash::of(b"x"), 100).unwrap(),
            offset,
            len,
        };
        let segments = vec![segment(10, 5), segment(50, 5), segment(20, 5)];
        let cut = |range| -> Vec<(u64, u64)> {
            parts_of(segments.clone(), range).iter().map(|part| (part.offset, part.len)).collect()
        };
        assert_eq!(cut(0..15), [(10, 5), (50, 5), (20, 5)]);
        assert_eq!(cut(3..12), [(13, 2), (50, 5), (20, 2)]);
        assert_eq!(cut(5..10), [(50, 5)]);
        assert_eq!(cut(14..99), [(24, 1)]);
        assert_eq!(cut(15..15), []);
    }
}
