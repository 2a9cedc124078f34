//! Reading manifest text, strictly: what is accepted here is what clients will be given back.

use std::collections::HashSet;

use crate::error::{ManifestError, Problem, shown};
use crate::escape::{check_path, unescape};
use crate::locator::Locator;
use crate::{PATHS_BYTES_MAX, SEGMENTS_MAX};

/// Sizes stay below this, so that sums of them are numbers in any database.
const BYTES_MAX: u64 = 1 << 62;

/// A manifest that was read: its text, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    text: String,
    streams: Vec<Stream>,
}

/// One line: a directory, the blocks that its files lie in, and the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The directory, `""` for the top, else such as `a/b`.
    pub directory: String,
    /// The blocks, in order.
    pub blocks: Vec<Locator>,
    /// The ranges of files, in order.
    pub tokens: Vec<FileToken>,
    /// Where each block begins in the stream; one more, for the end.
    pub(crate) starts: Vec<u64>,
}

/// A range of a stream that belongs to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileToken {
    /// First byte, counted from the start of the stream's first block.
    pub position: u64,
    /// Number of bytes.
    pub size: u64,
    /// Name below the stream's directory; may have `/` in it. `.` stands for an empty directory.
    pub name: String,
}

impl FileToken {
    /// Whether this only says that the directory is there.
    pub fn is_placeholder(&self) -> bool {
        self.name == "."
    }
}

/// How much a manifest holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Number of files.
    pub n_files: u64,
    /// Their sizes together.
    pub n_bytes: u64,
}

impl Manifest {
    /// Reads a manifest; the empty text is the empty one.
    ///
    /// # Errors
    /// When a line breaks a rule, or sizes leave the bounds of this crate.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut streams = Vec::new();
        let mut budget = Budget::default();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let at = |problem| ManifestError { line: number + 1, problem };
            let line = line.strip_suffix('\n').ok_or_else(|| at(Problem::NoLineFeed))?;
            streams.push(parse_line(line, &mut budget).map_err(at)?);
        }
        Ok(Self { text: text.to_owned(), streams })
    }

    /// The text, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines, in order.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Every locator, in order; a block occurs as often as it is named.
    pub fn locators(&self) -> impl Iterator<Item = &Locator> {
        self.streams.iter().flat_map(|stream| &stream.blocks)
    }

    /// How many files there are, and their size together.
    pub fn totals(&self) -> Totals {
        let mut paths = HashSet::new();
        let mut totals = Totals::default();
        for stream in &self.streams {
            for token in stream.tokens.iter().filter(|token| !token.is_placeholder()) {
                paths.insert(stream.path_of(token));
                totals.n_bytes += token.size;
            }
        }
        totals.n_files = paths.len() as u64;
        totals
    }
}

impl Stream {
    /// A file's path from the top.
    pub(crate) fn path_of(&self, token: &FileToken) -> String {
        if self.directory.is_empty() {
            token.name.clone()
        } else {
            format!("{}/{}", self.directory, token.name)
        }
    }

    /// Bytes of all blocks together.
    pub(crate) fn size(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The blocks that a range touches, as indexes.
    pub(crate) fn blocks_of(&self, position: u64, size: u64) -> std::ops::Range<usize> {
        if size == 0 {
            return 0..0;
        }
        // The last block that begins at or before the position; blocks without bytes end there too.
        let first = self.starts.partition_point(|start| *start <= position).saturating_sub(1);
        let end = self.starts.partition_point(|start| *start < position + size);
        first..end.min(self.blocks.len())
    }
}

/// What all lines together may use up.
#[derive(Default)]
struct Budget {
    n_segments: u64,
    n_path_bytes: u64,
    n_bytes: u64,
}

impl Budget {
    fn take(&mut self, stream: &Stream, token: &FileToken) -> Result<(), Problem> {
        let n_blocks = stream.blocks_of(token.position, token.size).len() as u64;
        self.n_segments += n_blocks.max(1);
        if self.n_segments > SEGMENTS_MAX {
            return Err(Problem::TooManySegments);
        }
        self.n_path_bytes += (stream.directory.len() + 1 + token.name.len()) as u64;
        if self.n_path_bytes > PATHS_BYTES_MAX {
            return Err(Problem::PathsTooLong);
        }
        self.n_bytes = bounded_sum(self.n_bytes, token.size)?;
        Ok(())
    }
}

fn bounded_sum(a: u64, b: u64) -> Result<u64, Problem> {
    a.checked_add(b).filter(|sum| *sum <= BYTES_MAX).ok_or(Problem::TooLarge)
}

fn parse_line(line: &str, budget: &mut Budget) -> Result<Stream, Problem> {
    if line.is_empty() {
        return Err(Problem::EmptyLine);
    }
    if line.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Problem::ControlCharacter);
    }
    let mut words = line.split(' ').peekable();
    if line.split(' ').any(str::is_empty) {
        return Err(Problem::EmptyWord);
    }
    let directory = directory_of(words.next().unwrap_or_default())?;
    let mut stream = Stream { directory, blocks: Vec::new(), tokens: Vec::new(), starts: vec![0] };
    // A file token has a colon, a locator none.
    while let Some(word) = words.next_if(|word| !word.contains(':')) {
        let locator = Locator::parse(word)?;
        let end = bounded_sum(stream.size(), locator.size())?;
        stream.starts.push(end);
        stream.blocks.push(locator);
    }
    if stream.blocks.is_empty() {
        return Err(Problem::NoLocator);
    }
    for word in words {
        let token = parse_token(word, &stream)?;
        budget.take(&stream, &token)?;
        stream.tokens.push(token);
    }
    if stream.tokens.is_empty() { Err(Problem::NoFile) } else { Ok(stream) }
}

/// The directory of a stream name: `.` is the top, `./a/b` is `a/b`.
fn directory_of(word: &str) -> Result<String, Problem> {
    let name = unescape(word)?;
    if name == "." {
        return Ok(String::new());
    }
    let directory =
        name.strip_prefix("./").ok_or_else(|| Problem::StreamName(shown(word)))?.to_owned();
    check_path(&directory)?;
    Ok(directory)
}

fn parse_token(word: &str, stream: &Stream) -> Result<FileToken, Problem> {
    let wrong = || Problem::FileToken(shown(word));
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Digits beyond 64 bits are beyond every stream.
        if is_number { Ok(text.parse().unwrap_or(u64::MAX)) } else { Err(wrong()) }
    };
    let (position, rest) = word.split_once(':').ok_or_else(wrong)?;
    let (size, name) = rest.split_once(':').ok_or_else(wrong)?;
    let (position, size): (u64, u64) = (number(position)?, number(size)?);
    let end = position.checked_add(size).filter(|end| *end <= stream.size());
    if end.is_none() {
        return Err(Problem::BeyondEnd(shown(word)));
    }
    let name = unescape(name)?.into_owned();
    let token = FileToken { position, size, name };
    if token.is_placeholder() {
        // An empty directory; bytes under this name would belong to nothing.
        return if size == 0 { Ok(token) } else { Err(Problem::Path(shown(word))) };
    }
    check_path(&stream.path_of(&token))?;
    Ok(token)
}
