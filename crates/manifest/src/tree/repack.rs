//! Repacking: files that consist of other ranges of blocks than before, with the same bytes.

use std::collections::{HashMap, HashSet};

use super::{Node, Tree};
use crate::error::shown;
use crate::files::Segment;
use crate::hash::BlockHash;
use crate::locator::{Locator, LocatorError};

/// Why a text is no segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// It has another form.
    #[error("{0:?} is no segment, which is a locator, an offset and a length with spaces between")]
    Form(String),
    /// Its locator is wrong.
    #[error(transparent)]
    Locator(#[from] LocatorError),
    /// It has no bytes, or some that its block has not.
    #[error("{offset} {len} is no range of the block {locator:?}, or an empty one")]
    Range {
        /// The block.
        locator: Locator,
        /// First byte, as written.
        offset: u64,
        /// Number of bytes, as written.
        len: u64,
    },
}

/// A range of a block, whatever hints its locator has.
type Range = (BlockHash, u64, u64, u64);

impl Segment {
    /// Reads `<locator> <offset> <length>`, as Arvados's `replace_segments` has it.
    ///
    /// # Errors
    /// For other forms, and for ranges that are empty or not inside the block.
    pub fn parse(text: &str) -> Result<Self, SegmentError> {
        let form = || SegmentError::Form(shown(text));
        let words: Vec<&str> = text.split(' ').collect();
        let [locator, offset, len] = words[..] else { return Err(form()) };
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // Digits beyond 64 bits are beyond every block.
            if is_number { Ok(text.parse().unwrap_or(u64::MAX)) } else { Err(form()) }
        };
        let (locator, offset, len) = (Locator::parse(locator)?, number(offset)?, number(len)?);
        let end = offset.checked_add(len).filter(|end| len > 0 && *end <= locator.size());
        match end {
            Some(_inside) => Ok(Self { locator, offset, len }),
            None => Err(SegmentError::Range { locator, offset, len }),
        }
    }

    fn range(&self) -> Range {
        (self.locator.hash(), self.locator.size(), self.offset, self.len)
    }

    fn block(&self) -> (BlockHash, u64) {
        (self.locator.hash(), self.locator.size())
    }
}

impl Tree {
    /// Puts the second segment of each pair in the place of the first, in every file that has it as a
    /// whole; ranges of a file that follow each other in a block are one segment. The two have the same
    /// number of bytes, and the caller vouches that they are the same ones.
    ///
    /// Where no file has the first one, its pair is left out, and with it all others that lead to the
    /// same block: somebody repacked that part meanwhile, and of two large blocks with the same bytes
    /// one is enough. How many pairs were used is answered.
    pub fn replace_segments(&mut self, pairs: &[(Segment, Segment)]) -> usize {
        let mut there = HashSet::new();
        self.each_file(|segments| {
            join_neighbours(segments);
            there.extend(segments.iter().map(Segment::range));
        });
        let stale: HashSet<_> = pairs
            .iter()
            .filter(|(from, _)| !there.contains(&from.range()))
            .map(|(_, to)| to.block())
            .collect();
        let used: HashMap<Range, &Segment> = pairs
            .iter()
            .filter(|(_, to)| !stale.contains(&to.block()))
            .map(|(from, to)| (from.range(), to))
            .collect();
        self.each_file(|segments| {
            for segment in segments {
                if let Some(to) = used.get(&segment.range()) {
                    *segment = (*to).clone();
                }
            }
        });
        used.len()
    }

    /// Not recursive: how deep a tree is, is for its author to say.
    fn each_file(&mut self, mut work: impl FnMut(&mut Vec<Segment>)) {
        let mut todo = vec![&mut self.root];
        while let Some(node) = todo.pop() {
            match node {
                Node::Directory(entries) => todo.extend(entries.values_mut()),
                Node::File(segments) => work(segments),
            }
        }
    }
}

fn join_neighbours(segments: &mut Vec<Segment>) {
    segments.dedup_by(|next, last| {
        let follows = next.block() == last.block() && last.offset + last.len == next.offset;
        if follows {
            last.len += next.len;
        }
        follows
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    const AB: &str = "187ef4436122d1cc2f40dc2b92f0eba0+2";
    const CDE: &str = "a256e6b336afdc38c564789c399b516c+3";
    const ABCDE: &str = "ab56b4d92b40713acc5af89985d4b786+5";
    const OTHER: &str = "acbd18db4cc2f85cedef654fccc4a4d8+5";

    fn segment(locator: &str, offset: u64, len: u64) -> Segment {
        Segment::parse(&format!("{locator} {offset} {len}")).unwrap()
    }

    /// What a manifest is after some replacements, and how many were used.
    fn check(text: &str, pairs: &[(Segment, Segment)], expected: &str, n_used: usize) {
        let mut tree = Tree::of(&Manifest::parse(text).unwrap()).unwrap();
        assert_eq!(tree.replace_segments(pairs), n_used, "{text}");
        assert_eq!(tree.text(), expected, "{text}");
    }

    #[test]
    fn small_blocks_become_ranges_of_a_large_one() {
        let pairs = [
            (segment(AB, 0, 2), segment(ABCDE, 0, 2)),
            (segment(CDE, 0, 3), segment(&format!("{ABCDE}+Kx"), 2, 3)),
        ];
        let text = format!(". {AB}+A1@2 {CDE} 0:2:a 2:3:b\n./sub {CDE}+Kx {AB} 0:5:c\n");
        let expected = format!(". {ABCDE} 0:2:a 2:3:b\n./sub {ABCDE}+Kx 2:3:c 0:2:c\n");
        check(&text, &pairs, &expected, 2);
        // A range that is written in two tokens is one.
        let text = format!(". {AB} {CDE} 0:1:a 1:1:a 2:3:a\n");
        check(&text, &pairs, &format!(". {ABCDE} 0:5:a\n"), 2);
    }

    #[test]
    fn what_is_no_whole_segment_leaves_its_block_out_and_no_other() {
        let pairs = [
            (segment(AB, 0, 2), segment(ABCDE, 0, 2)),
            (segment(CDE, 0, 3), segment(OTHER, 2, 3)),
            (segment(OTHER, 0, 1), segment(ABCDE, 2, 1)),
        ];
        let text = format!(". {AB} {CDE} 0:2:a 2:3:b\n");
        check(&text, &pairs, &format!(". {AB} {OTHER} 0:2:a 4:3:b\n"), 1);
        // Half of it is another segment.
        let halves = [(segment(CDE, 0, 1), segment(ABCDE, 2, 1))];
        check(&text, &halves, &text, 0);
        check("", &halves, "", 0);
    }

    #[test]
    fn other_forms_of_segments_are_refused() {
        for text in ["", AB, &format!("{AB} 0"), &format!("{AB}  0 2"), &format!("{AB} 0 2 ")] {
            assert!(matches!(Segment::parse(text), Err(SegmentError::Form(_))), "{text:?}");
        }
        for range in ["0 -1", "x 1", "+0 2"] {
            let text = format!("{AB} {range}");
            assert!(matches!(Segment::parse(&text), Err(SegmentError::Form(_))), "{text}");
        }
        for range in ["0 0", "0 3", "2 1", "99999999999999999999999 1"] {
            let text = format!("{AB} {range}");
            assert!(matches!(Segment::parse(&text), Err(SegmentError::Range { .. })), "{text}");
        }
        assert!(matches!(Segment::parse("x+1 0 1"), Err(SegmentError::Locator(_))));
    }
}
