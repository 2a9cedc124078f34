//! What can be wrong with a manifest.

use crate::locator::LocatorError;

/// Why a text is no manifest: the line, counted from 1, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ManifestError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line of a manifest, or with a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text does not end with a line feed.
    #[error("does not end with a line feed")]
    NoLineFeed,
    /// A line without words.
    #[error("is empty")]
    EmptyLine,
    /// Two spaces in a row, or one at an end of the line.
    #[error("has a space too many")]
    EmptyWord,
    /// A control character other than the line feed, not escaped.
    #[error("has a control character that is not escaped")]
    ControlCharacter,
    /// The first word is no stream name.
    #[error("the stream name {0:?} must be \".\" or begin with \"./\"")]
    StreamName(String),
    /// No block locator follows the stream name.
    #[error("has no block locator after the stream name")]
    NoLocator,
    /// A block locator is wrong.
    #[error(transparent)]
    Locator(#[from] LocatorError),
    /// No file token follows the locators.
    #[error("has no file token (position:size:name)")]
    NoFile,
    /// A word after the locators is no file token.
    #[error("{0:?} is no file token (position:size:name)")]
    FileToken(String),
    /// A file token reaches beyond the blocks of its stream.
    #[error("the file token {0:?} reaches beyond the end of the stream's blocks")]
    BeyondEnd(String),
    /// A backslash is not followed by three octal digits up to 377, or what they stand for is not
    /// UTF-8.
    #[error("{0:?} has a backslash without three octal digits (\\000 to \\377), or is not UTF-8")]
    Escape(String),
    /// A path has an empty part, `.`, `..` or a NUL.
    #[error("the path {0:?} has an empty part, \".\", \"..\" or a NUL")]
    Path(String),
    /// A path is too long.
    #[error("the path {0:?}… is longer than {max} bytes", max = crate::PATH_BYTES_MAX)]
    PathLength(String),
    /// Sizes add up to more than can be counted.
    #[error("the sizes add up to more than 2^62 bytes")]
    TooLarge,
    /// More ranges of blocks than may be.
    #[error("the files consist of more than {max} ranges of blocks", max = crate::SEGMENTS_MAX)]
    TooManySegments,
    /// Longer paths than may be.
    #[error("the paths have more than {max} bytes together", max = crate::PATHS_BYTES_MAX)]
    PathsTooLong,
}

/// What was sent, within reason.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
