//! The files of a manifest, each put together from its ranges.

use std::collections::HashMap;

use crate::locator::Locator;
use crate::parse::{FileToken, Manifest, Stream};

/// A file: its bytes are its segments in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path from the top, such as `sub/deep/a.bin`.
    pub path: String,
    /// Ranges of blocks, in order; none of them is empty.
    pub segments: Vec<Segment>,
    /// Number of bytes.
    pub size: u64,
}

/// A range of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The block.
    pub locator: Locator,
    /// First byte inside the block.
    pub offset: u64,
    /// Number of bytes, at least one.
    pub len: u64,
}

impl Manifest {
    /// The files, in the order in which their paths first appear. Several tokens of one path are
    /// one file.
    pub fn files(&self) -> impl Iterator<Item = File> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut tokens: Vec<(String, Vec<(&Stream, &FileToken)>)> = Vec::new();
        for stream in self.streams() {
            for token in stream.tokens.iter().filter(|token| !token.is_placeholder()) {
                let path = stream.path_of(token);
                let place = *places.entry(path.clone()).or_insert_with(|| {
                    tokens.push((path, Vec::new()));
                    tokens.len() - 1
                });
                tokens[place].1.push((stream, token));
            }
        }
        drop(places);
        tokens.into_iter().map(|(path, ranges)| {
            let segments: Vec<Segment> =
                ranges.into_iter().flat_map(|(stream, token)| stream.segments(token)).collect();
            let size = segments.iter().map(|segment| segment.len).sum();
            File { path, segments, size }
        })
    }

    /// The file at this path.
    pub fn file(&self, path: &str) -> Option<File> {
        let mut found = false;
        let mut segments = Vec::new();
        for stream in self.streams() {
            for token in stream.tokens.iter().filter(|token| !token.is_placeholder()) {
                if stream.has(token, path) {
                    found = true;
                    segments.extend(stream.segments(token));
                }
            }
        }
        let size = segments.iter().map(|segment| segment.len).sum();
        found.then(|| File { path: path.to_owned(), segments, size })
    }

    /// Directories that are there although no file is in them.
    pub fn empty_directories(&self) -> impl Iterator<Item = &str> {
        let placeholders = self
            .streams()
            .iter()
            .filter(|stream| stream.tokens.iter().any(FileToken::is_placeholder));
        placeholders.map(|stream| stream.directory.as_str()).filter(|path| !path.is_empty())
    }
}

impl Stream {
    fn has(&self, token: &FileToken, path: &str) -> bool {
        if self.directory.is_empty() {
            return token.name == path;
        }
        let below = path.strip_prefix(self.directory.as_str());
        below.and_then(|rest| rest.strip_prefix('/')) == Some(token.name.as_str())
    }

    /// The ranges of blocks that a token covers.
    fn segments(&self, token: &FileToken) -> impl Iterator<Item = Segment> {
        let (begin, end) = (token.position, token.position + token.size);
        self.blocks_of(token.position, token.size).filter_map(move |index| {
            let (start, stop) = (self.starts[index], self.starts[index + 1]);
            let (from, to) = (begin.max(start), end.min(stop));
            let len = to.checked_sub(from).filter(|len| *len > 0)?;
            Some(Segment { locator: self.blocks[index].clone(), offset: from - start, len })
        })
    }
}
