//! Manifests: how Arvados writes a tree of files as ranges of content-addressed blocks.
//!
//! What it is for: reading manifest text strictly, naming it by its portable data hash, taking
//! signatures out of it and putting them in, and making a normalised one from a tree of files.
//! What it does not do: no block is read, written, signed or checked here (that is `keep`), and
//! nothing is known of records.
//!
//! ```text
//! ./sub 930625b054ce894ac40596c3f5a0d947+33+A…@… 0:3:a\040b.txt 3:30:deep/c
//!   │        │                           │  │        └ pos:size:name, one for each range of a file
//!   │        │                           │  └ hints, kept in order; `A` is a permission
//!   │        └ MD5 of the block          └ its size
//!   └ stream: one line for each directory
//! ```
//!
//! A text comes back byte for byte: names of collections are digests of it. Start reading at
//! [`Manifest`], then [`Tree`].

mod error;
mod escape;
mod files;
mod hash;
mod locator;
mod parse;
mod text;
mod tree;

pub use error::{ManifestError, Problem};
pub use escape::{check_path, escape};
pub use files::{File, Segment};
pub use hash::{BlockHash, BlockHasher};
pub use locator::{Locator, LocatorError, Permission};
pub use parse::{FileToken, Manifest, Stream, Totals};
pub use text::{hashes, portable_data_hash, sign, strip};
pub use tree::{Node, SegmentError, Tree, TreeError};

/// Largest block, in bytes: what every Arvados client cuts files into.
pub const BLOCK_BYTES_MAX: u64 = 64 << 20;
/// Longest path of a file or directory inside a manifest, in bytes: as long as Linux takes one.
pub const PATH_BYTES_MAX: usize = 4096;
/// Most ranges of blocks that the files of one manifest may consist of. A short text can name each
/// of its blocks again in each of its files, and nobody shall need memory for that product.
pub const SEGMENTS_MAX: u64 = 4_000_000;
/// Most bytes of all paths of one manifest together, for the same reason: a long stream name counts
/// again with each of its files.
pub const PATHS_BYTES_MAX: u64 = 256 << 20;
