//! A tree of files that can be changed, and its normalised manifest.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use crate::error::{Problem, shown};
use crate::escape::{check_path, escape};
use crate::files::{File, Segment};
use crate::hash::BlockHash;
use crate::locator::Locator;
use crate::parse::Manifest;

mod repack;

pub use repack::SegmentError;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Names and what is under them, in order.
    Directory(BTreeMap<String, Node>),
    /// The bytes, in order.
    File(Vec<Segment>),
}

/// Why a tree was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The path cannot be in a manifest.
    #[error(transparent)]
    Path(#[from] Problem),
    /// Something is both a file and a directory.
    #[error("{0:?} is a file, and cannot be a directory at the same time")]
    IsFile(String),
    /// A file cannot be put where a directory is.
    #[error("{0:?} is a directory")]
    IsDirectory(String),
}

/// Files and directories. [`Tree::text`] is their manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    root: Node,
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: Node::Directory(BTreeMap::new()) }
    }
}

impl Node {
    /// An empty directory.
    pub fn directory() -> Self {
        Self::Directory(BTreeMap::new())
    }

    /// Bytes of a file, or of all files of a directory.
    pub fn size(&self) -> u64 {
        match self {
            Self::File(segments) => segments.iter().map(|segment| segment.len).sum(),
            Self::Directory(entries) => entries.values().map(Self::size).sum(),
        }
    }

    /// What is in a directory; nothing is in a file.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match self {
            Self::Directory(entries) => Some(entries),
            Self::File(_) => None,
        };
        entries.into_iter().flatten().map(|(name, node)| (name.as_str(), node))
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

impl Tree {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files and directories of a manifest.
    ///
    /// # Errors
    /// When a path is a file and a directory at once.
    pub fn of(manifest: &Manifest) -> Result<Self, TreeError> {
        let mut tree = Self::new();
        for File { path, segments, .. } in manifest.files() {
            tree.put(&path, Node::File(segments))?;
        }
        for path in manifest.empty_directories() {
            tree.make_directory(path)?;
        }
        Ok(tree)
    }

    /// What is at a path; `""` is the top.
    pub fn get(&self, path: &str) -> Option<&Node> {
        if path.is_empty() {
            return Some(&self.root);
        }
        path.split('/').try_fold(&self.root, |node, name| match node {
            Node::Directory(entries) => entries.get(name),
            Node::File(_) => None,
        })
    }

    /// Puts a file or a directory at a path, in the place of what was there; directories above it
    /// are made. A file does not replace a directory.
    ///
    /// # Errors
    /// When the path is none, or leads through a file.
    pub fn put(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        let (entries, name) = self.parent_of(path)?;
        match (entries.get(name), &node) {
            (Some(Node::Directory(_)), Node::File(_)) => Err(TreeError::IsDirectory(shown(path))),
            _ => {
                entries.insert(name.to_owned(), node);
                Ok(())
            }
        }
    }

    /// Makes a directory where there is none.
    ///
    /// # Errors
    /// When the path is none, or a file is at it or on the way.
    pub fn make_directory(&mut self, path: &str) -> Result<(), TreeError> {
        let (entries, name) = self.parent_of(path)?;
        match entries.entry(name.to_owned()).or_insert_with(Node::directory) {
            Node::Directory(_) => Ok(()),
            Node::File(_) => Err(TreeError::IsFile(shown(path))),
        }
    }

    /// Takes away what is at a path, with all below it. Directories above stay.
    pub fn remove(&mut self, path: &str) -> Option<Node> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut node = &mut self.root;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            let Node::Directory(entries) = node else { return None };
            node = entries.get_mut(part)?;
        }
        match node {
            Node::Directory(entries) => entries.remove(name),
            Node::File(_) => None,
        }
    }

    fn parent_of<'t, 'p>(
        &'t mut self,
        path: &'p str,
    ) -> Result<(&'t mut BTreeMap<String, Node>, &'p str), TreeError> {
        check_path(path)?;
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut node = &mut self.root;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            let Node::Directory(entries) = node else {
                return Err(TreeError::IsFile(shown(path)));
            };
            node = entries.entry(part.to_owned()).or_insert_with(Node::directory);
        }
        match node {
            Node::Directory(entries) => Ok((entries, name)),
            Node::File(_) => Err(TreeError::IsFile(shown(above))),
        }
    }

    /// The normalised manifest: one line for each directory with files, directories and files in
    /// the order of their names, each block once in a line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Node::Directory(entries) = &self.root {
            write_directory(&mut text, ".", entries);
        }
        text
    }
}

fn write_directory(text: &mut String, stream: &str, entries: &BTreeMap<String, Node>) {
    let files: Vec<(&str, &[Segment])> = entries
        .iter()
        .filter_map(|(name, node)| match node {
            Node::File(segments) => Some((name.as_str(), segments.as_slice())),
            Node::Directory(_) => None,
        })
        .collect();
    if !files.is_empty() {
        write_stream(text, stream, &files);
    } else if entries.is_empty() && stream != "." {
        // Writing to a string cannot fail, here and below.
        let _written = writeln!(text, "{stream} {} 0:0:\\056", Locator::empty());
    }
    for (name, node) in entries {
        if let Node::Directory(below) = node {
            write_directory(text, &format!("{stream}/{}", escape(name)), below);
        }
    }
}

fn write_stream(text: &mut String, stream: &str, files: &[(&str, &[Segment])]) {
    text.push_str(stream);
    let mut starts: HashMap<(BlockHash, u64), u64> = HashMap::new();
    let mut end = 0;
    for segment in files.iter().flat_map(|(_, segments)| *segments) {
        let block = (segment.locator.hash(), segment.locator.size());
        starts.entry(block).or_insert_with(|| {
            let _written = write!(text, " {}", segment.locator);
            let start = end;
            end += segment.locator.size();
            start
        });
    }
    if starts.is_empty() {
        let _written = write!(text, " {}", Locator::empty());
    }
    for (name, segments) in files {
        write_tokens(text, name, segments, &starts);
    }
    text.push('\n');
}

/// The tokens of one file; ranges that follow each other are one.
fn write_tokens(
    text: &mut String,
    name: &str,
    segments: &[Segment],
    starts: &HashMap<(BlockHash, u64), u64>,
) {
    let name = escape(name);
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for Segment { locator, offset, len } in segments.iter().filter(|segment| segment.len > 0) {
        let start = starts.get(&(locator.hash(), locator.size())).copied().unwrap_or(0) + offset;
        match ranges.last_mut() {
            Some((position, size)) if *position + *size == start => *size += len,
            _ => ranges.push((start, *len)),
        }
    }
    if ranges.is_empty() {
        ranges.push((0, 0));
    }
    for (position, size) in ranges {
        let _written = write!(text, " {position}:{size}:{name}");
    }
}
