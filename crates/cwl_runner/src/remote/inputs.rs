//! What a program needs, put together as one collection: `stg` is mounted where inputs are looked for, what is in `out` in
//! the output directory, what is in `abs` elsewhere. Files of this machine are sent, each once; those that the instance has
//! become part of it by their blocks' names alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::Client;
use cwl::stage::{Content, Staged};
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator, Node, Segment, Tree};
use model::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

use super::kept::{Kept, Place};
use super::patience::patiently;
use crate::disk::{at, path_of};
use crate::job::Job;

/// What a collection of inputs is made of at most.
const FILES_MAX: usize = 100_000;
/// Deepest nesting of folders that is sent; a link to a folder above would have no end.
const DEPTH_MAX: usize = 100;
/// A file is sent again after this time: the permission on its blocks ends some day.
const FRESH: Duration = Duration::from_secs(3600);

/// Inputs of a job, as the instance has them.
pub(super) struct Inputs {
    /// Hash of the collection's content; `None` if there is nothing in it.
    pub(super) hash: Option<String>,
    /// What is in it.
    pub(super) tree: Arc<Tree>,
}

/// Sends inputs, and remembers what was sent.
pub(super) struct Sender {
    client: Client,
    kept: Arc<Kept>,
    /// One that is being sent is waited for.
    sent: RefCell<HashMap<PathBuf, Rc<Mutex<Option<Sent>>>>>,
}

/// A file of this machine that was sent.
struct Sent {
    stamp: Stamp,
    since: Instant,
    segments: Vec<Segment>,
}

/// Tells a file from what it is after a change: inode, bytes, time of the change.
type Stamp = (u64, u64, i64, i64);

/// Where something that is staged lies in the collection of inputs.
pub(super) fn path_in_inputs(job: &Job, n: usize, staged: &Staged) -> String {
    let below = |root: &str| {
        let rest = staged.target.strip_prefix(root.trim_end_matches('/'))?;
        rest.strip_prefix('/').map(str::to_owned)
    };
    if let Some(rest) = below(&job.place.outdir) {
        return format!("out/{rest}");
    }
    match below(&job.place.stage_root) {
        Some(rest) => format!("stg/{rest}"),
        None => format!("abs/{n}"),
    }
}

impl Sender {
    pub(super) fn new(client: Client, kept: Arc<Kept>) -> Self {
        Self { client, kept, sent: RefCell::default() }
    }

    /// Makes the collection of a job's inputs.
    pub(super) async fn send(
        &self,
        job: &Job,
        trash_at: Option<Timestamp>,
    ) -> Result<Inputs, String> {
        // Secrets go with the request.
        let is_sent = |staged: &Staged| !matches!(staged.content, Content::Secret(_));
        if !job.staged.iter().any(is_sent) {
            return Ok(Inputs { hash: None, tree: Arc::default() });
        }
        let mut tree = Tree::new();
        for (n, staged) in job.staged.iter().enumerate().filter(|(_, it)| is_sent(it)) {
            let path = path_in_inputs(job, n, staged);
            self.add(&mut tree, &path, &staged.content).await?;
        }
        let properties = model::JsonMap::from_iter([("type".to_owned(), "intermediate".into())]);
        let (name, text) = (format!("Inputs of {}", job.name), tree.text());
        let made = patiently(async || {
            self.client.create_collection(&name, &properties, &text, trash_at).await
        });
        let made = made.await.map_err(|error| format!("cannot send inputs: {error}"))?;
        let (hash, tree) = (made.portable_data_hash, Arc::new(tree));
        self.kept.remember(&hash, Arc::clone(&tree), text.len());
        Ok(Inputs { hash: Some(hash), tree })
    }

    async fn add(&self, tree: &mut Tree, path: &str, content: &Content) -> Result<(), String> {
        let location = match content {
            Content::NewFolder => return put(tree, path, Node::directory()),
            Content::Text(text) => {
                let segments = self.send_text(text).await?;
                return put(tree, path, Node::File(segments));
            }
            Content::Secret(_) => return Ok(()),
            Content::File(location) | Content::Folder(location) => location,
        };
        if let Some(place) = Place::of(location) {
            return put(tree, path, self.kept.node(&place).await?);
        }
        let (source, top) = (path_of(location)?, path.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let source = std::fs::canonicalize(&source).map_err(|error| at(&source, &error))?;
            let mut found = Vec::new();
            walk(&source, &top, &mut found, 0).map(|()| found)
        });
        for (path, source) in found.await.map_err(|error| error.to_string())?? {
            let node = match source {
                None => Node::directory(),
                Some(source) => Node::File(self.send_file(&source).await?),
            };
            put(tree, &path, node)?;
        }
        Ok(())
    }

    async fn send_text(&self, text: &str) -> Result<Vec<Segment>, String> {
        let mut segments = Vec::new();
        let block_bytes = usize::try_from(BLOCK_BYTES_MAX).unwrap_or(usize::MAX);
        for block in text.as_bytes().chunks(block_bytes) {
            segments.push(self.send_block(block.to_vec()).await?);
        }
        Ok(segments)
    }

    /// Sends a file, unless it was sent as it is.
    async fn send_file(&self, source: &Path) -> Result<Vec<Segment>, String> {
        let found = tokio::fs::metadata(source).await.map_err(|error| at(source, &error))?;
        let stamp = (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        let entry = Rc::clone(self.sent.borrow_mut().entry(source.to_owned()).or_default());
        let mut entry = entry.lock().await;
        if let Some(known) = entry.as_ref()
            && known.stamp == stamp
            && known.since.elapsed() < FRESH
        {
            return Ok(known.segments.clone());
        }
        let since = Instant::now();
        let segments = self.send_blocks_of(source).await?;
        *entry = Some(Sent { stamp, since, segments: segments.clone() });
        Ok(segments)
    }

    async fn send_blocks_of(&self, source: &Path) -> Result<Vec<Segment>, String> {
        let file = tokio::fs::File::open(source).await.map_err(|error| at(source, &error))?;
        let mut segments = Vec::new();
        let mut file = file.take(0);
        loop {
            file.set_limit(BLOCK_BYTES_MAX);
            let mut block = Vec::new();
            file.read_to_end(&mut block).await.map_err(|error| at(source, &error))?;
            if block.is_empty() {
                return Ok(segments);
            }
            let sent = self.send_block(block).await;
            segments.push(sent.map_err(|problem| format!("{}: {problem}", source.display()))?);
        }
    }

    async fn send_block(&self, block: Vec<u8>) -> Result<Segment, String> {
        let hashed = tokio::task::spawn_blocking(move || (BlockHash::of(&block), block));
        let (hash, block) = hashed.await.map_err(|error| error.to_string())?;
        let (hash, len) = (hash.to_string(), block.len() as u64);
        let block = bytes::Bytes::from(block);
        let put = patiently(async || self.client.put_block(&hash, block.clone()).await).await;
        let locator = put.map_err(|error| format!("cannot send it: {error}"))?;
        let locator = Locator::parse(&locator).map_err(|error| error.to_string())?;
        Ok(Segment { locator, offset: 0, len })
    }
}

/// Puts something where perhaps something is: folders are joined, files replaced.
fn put(tree: &mut Tree, path: &str, node: Node) -> Result<(), String> {
    let words = |error: manifest::TreeError| format!("{path}: {error}");
    match node {
        Node::File(_) => tree.put(path, node).map_err(words),
        Node::Directory(entries) => {
            tree.make_directory(path).map_err(words)?;
            let mut entries = entries.into_iter();
            entries.try_for_each(|(name, inner)| put(tree, &format!("{path}/{name}"), inner))
        }
    }
}

/// Folders (without a source) before what is in them.
fn walk(
    source: &Path,
    path: &str,
    found: &mut Vec<(String, Option<PathBuf>)>,
    depth: usize,
) -> Result<(), String> {
    if found.len() >= FILES_MAX || depth > DEPTH_MAX {
        return Err(format!(
            "{}: more than {FILES_MAX} files, or folders nested too deeply, to send",
            source.display()
        ));
    }
    let kind = std::fs::metadata(source).map_err(|error| at(source, &error))?;
    if kind.is_file() {
        found.push((path.to_owned(), Some(source.to_owned())));
        return Ok(());
    }
    if !kind.is_dir() {
        return Err(format!("{} is neither a file nor a folder", source.display()));
    }
    found.push((path.to_owned(), None));
    for entry in std::fs::read_dir(source).map_err(|error| at(source, &error))? {
        let entry = entry.map_err(|error| at(source, &error))?;
        let name = entry.file_name().into_string();
        let name =
            name.map_err(|name| format!("{}: its name is not UTF-8", Path::new(&name).display()))?;
        walk(&entry.path(), &format!("{path}/{name}"), found, depth + 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_joined_and_files_replaced() {
        let file = |len| {
            let locator = Locator::new(BlockHash::of(b"x"), len).unwrap();
            Node::File(vec![Segment { locator, offset: 0, len }])
        };
        let mut tree = Tree::new();
        put(&mut tree, "out/d", Node::directory()).unwrap();
        put(&mut tree, "out/d/a", file(1)).unwrap();
        let more = Node::Directory([("a".to_owned(), file(2)), ("b".to_owned(), file(3))].into());
        put(&mut tree, "out/d", more).unwrap();
        assert_eq!(tree.get("out/d/a").unwrap().size(), 2);
        assert_eq!(tree.get("out").unwrap().size(), 5);
        assert!(put(&mut tree, "out/d", file(1)).is_err());
    }

    #[test]
    fn what_is_no_file_is_not_sent_and_links_to_folders_above_end() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("up")).unwrap();
        let mut found = Vec::new();
        assert!(walk(dir.path(), "out", &mut found, 0).is_err());
        let null = walk(Path::new("/dev/null"), "out", &mut Vec::new(), 0).unwrap_err();
        assert!(null.contains("neither a file nor a folder"), "{null}");
    }
}
