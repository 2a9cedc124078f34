//! Files that an instance keeps: `keep:HASH/path`, with the hash of a collection's content or its identifier. What is known
//! of them comes from manifests; their bytes come only where somebody reads them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::{Client, ClientError};
use cwl::storage::{Entry, Stat, Storage};
use cwl::uri;
use futures_util::StreamExt as _;
use manifest::{Manifest, Node, Tree};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;

use super::patience::patiently;
use crate::disk::{Checksum, Disk, at};
use crate::job::Files;

/// Hash of the content that is nothing.
pub(super) const NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e+0";
/// Manifests are asked for again after this time: the permissions on blocks in them end some day.
const FRESH: Duration = Duration::from_secs(3600);
/// Text of manifests that are remembered; then all are asked for again.
const REMEMBERED_BYTES_MAX: usize = 64 << 20;
/// Deepest nesting of folders that is brought here.
const DEPTH_MAX: usize = 200;

/// Files of an instance, and of this machine.
pub(super) struct Kept {
    client: Client,
    /// Carries the calls of threads that wait for an answer; never this one's own.
    runtime: Handle,
    remembered: Mutex<Remembered>,
    makes_checksums: AtomicBool,
}

#[derive(Default)]
struct Remembered {
    trees: HashMap<String, (Instant, Arc<Tree>)>,
    bytes: usize,
}

impl Kept {
    /// To be made on the run's thread.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            runtime: Handle::current(),
            remembered: Mutex::default(),
            makes_checksums: AtomicBool::new(false),
        }
    }

    /// Takes note of a collection's files.
    pub(super) fn remember(&self, id: &str, tree: Arc<Tree>, text_bytes: usize) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.bytes + text_bytes > REMEMBERED_BYTES_MAX {
            *remembered = Remembered::default();
        }
        remembered.bytes += text_bytes;
        remembered.trees.insert(id.to_owned(), (Instant::now(), tree));
    }

    /// The files of a collection, with permissions on their blocks.
    pub(super) async fn tree(&self, id: &str) -> Result<Arc<Tree>, String> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        self.fetch(id).await.map(|(_, tree)| tree)
    }

    /// The hash of a collection's content, and its files.
    pub(super) async fn fetch(&self, id: &str) -> Result<(String, Arc<Tree>), String> {
        let asked = patiently(async || self.client.get_content(id).await).await;
        let collection = asked.map_err(|error| format!("the collection {id}: {error}"))?;
        let text = &collection.manifest_text;
        let manifest = Manifest::parse(text).map_err(|error| format!("{id}: {error}"))?;
        let tree = Tree::of(&manifest).map_err(|error| format!("{id}: {error}"))?;
        let (hash, tree) = (collection.portable_data_hash, Arc::new(tree));
        self.remember(&hash, Arc::clone(&tree), text.len());
        if hash != id {
            self.remember(id, Arc::clone(&tree), 0);
        }
        Ok((hash, tree))
    }

    fn known(&self, id: &str) -> Option<Arc<Tree>> {
        if id == NOTHING {
            return Some(Arc::default());
        }
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, tree) = remembered.trees.get(id)?;
        (since.elapsed() < FRESH).then(|| Arc::clone(tree))
    }

    /// What is at a location of the instance.
    pub(super) async fn node(&self, place: &Place<'_>) -> Result<Node, String> {
        let tree = self.tree(place.id).await?;
        tree.get(&place.path).cloned().ok_or_else(|| place.missing())
    }

    fn look<T>(
        &self,
        place: &Place<'_>,
        look: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Result<T, String> {
        let tree = self.runtime.block_on(self.tree(place.id))?;
        look(tree.get(&place.path).ok_or_else(|| place.missing())?)
    }

    async fn read_beginning(&self, place: &Place<'_>, bytes_max: usize) -> Result<Vec<u8>, String> {
        let words = |error: ClientError| format!("{place}: {error}");
        let opened = patiently(async || self.client.read_file(place.id, &place.path).await).await;
        let mut pieces = opened.map_err(words)?;
        let mut bytes = Vec::new();
        while bytes.len() < bytes_max {
            let Some(piece) = pieces.next().await else { break };
            bytes.extend_from_slice(&piece.map_err(words)?);
        }
        bytes.truncate(bytes_max);
        Ok(bytes)
    }

    async fn download(&self, place: &Place<'_>, size: u64, target: &Path) -> Result<(), String> {
        let mut open = tokio::fs::File::create(target).await.map_err(|error| at(target, &error))?;
        let write =
            async |piece: &[u8]| open.write_all(piece).await.map_err(|error| at(target, &error));
        self.read_all(place, size, write).await?;
        open.flush().await.map_err(|error| at(target, &error))
    }

    async fn sum(&self, place: &Place<'_>, size: u64) -> Result<String, String> {
        let mut checksum = Checksum::default();
        let add = async |piece: &[u8]| {
            checksum.add(piece);
            Ok(())
        };
        self.read_all(place, size, add).await?;
        Ok(checksum.words())
    }

    /// Gives all bytes of a file away, piece by piece; errs where they are not as many as it has.
    async fn read_all(
        &self,
        place: &Place<'_>,
        size: u64,
        mut take: impl AsyncFnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        if size == 0 {
            return Ok(());
        }
        let words = |error: ClientError| format!("{place}: {error}");
        let opened = patiently(async || self.client.read_file(place.id, &place.path).await).await;
        let mut pieces = opened.map_err(words)?;
        let mut came = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(words)?;
            came += piece.len() as u64;
            take(&piece).await?;
        }
        if came != size {
            return Err(format!("{place}: {came} of {size} bytes came"));
        }
        Ok(())
    }

    fn bring(
        &self,
        place: &Place<'_>,
        node: &Node,
        target: &Path,
        depth: usize,
    ) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("{place}: folders nested too deeply"));
        }
        if !node.is_directory() {
            return self.runtime.block_on(self.download(place, node.size(), target));
        }
        std::fs::create_dir_all(target).map_err(|error| at(target, &error))?;
        for (name, inner) in node.entries() {
            self.bring(&place.child(name), inner, &target.join(name), depth + 1)?;
        }
        Ok(())
    }
}

/// Where something is in an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'l> {
    /// Hash or identifier of a collection.
    pub(super) id: &'l str,
    /// Below its top, which is `""`.
    pub(super) path: String,
}

impl<'l> Place<'l> {
    /// The place of a `keep:` location; `None` for others.
    pub(super) fn of(location: &'l str) -> Option<Self> {
        let rest = location.strip_prefix("keep:")?;
        let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = String::from_utf8_lossy(&uri::decode(path)).into_owned();
        Some(Self { id, path: path.trim_matches('/').to_owned() })
    }

    /// Its location.
    pub(super) fn location(&self) -> String {
        let root = format!("keep:{}", self.id);
        if self.path.is_empty() { root } else { uri::child(&root, &self.path) }
    }

    fn child(&self, name: &str) -> Self {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { id: self.id, path }
    }

    fn missing(&self) -> String {
        format!("{self}: there is no such file")
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "keep:{}/{}", self.id, self.path)
    }
}

impl Storage for Kept {
    fn stat(&self, location: &str) -> Result<Stat, String> {
        let Some(place) = Place::of(location) else { return Disk.stat(location) };
        self.look(&place, |node| {
            let is_dir = node.is_directory();
            Ok(Stat { is_dir, size: if is_dir { 0 } else { node.size() } })
        })
    }

    fn list(&self, location: &str) -> Result<Vec<Entry>, String> {
        let Some(place) = Place::of(location) else { return Disk.list(location) };
        self.look(&place, |node| {
            if !node.is_directory() {
                return Err(format!("{place} is no folder"));
            }
            let entry = |(name, node): (&str, &Node)| Entry {
                name: name.to_owned(),
                is_dir: node.is_directory(),
            };
            Ok(node.entries().map(entry).collect())
        })
    }

    fn read(&self, location: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        let Some(place) = Place::of(location) else {
            return Storage::read(&Disk, location, bytes_max);
        };
        let size = self.look(&place, |node| {
            if node.is_directory() { Err(format!("{place} is a folder")) } else { Ok(node.size()) }
        })?;
        if size == 0 {
            return Ok(Vec::new());
        }
        self.runtime.block_on(self.read_beginning(&place, bytes_max))
    }

    fn resolve(&self, location: &str) -> Result<String, String> {
        Ok(location.to_owned())
    }

    fn checksum(&self, location: &str) -> Result<Option<String>, String> {
        let Some(place) = Place::of(location) else { return Disk.checksum(location) };
        // Of what stays with the instance it is not known without reading all of it.
        if !self.makes_checksums.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let size = self.look(&place, |node| Ok(node.size()))?;
        self.runtime.block_on(self.sum(&place, size)).map(Some)
    }
}

impl Files for Kept {
    fn copy_out(&self, location: &str, target: &Path) -> Result<(), String> {
        let Some(place) = Place::of(location) else { return Disk.copy_out(location, target) };
        let tree = self.runtime.block_on(self.tree(place.id))?;
        let node = tree.get(&place.path).ok_or_else(|| place.missing())?;
        self.bring(&place, node, target, 0)
    }

    fn make_checksums(&self) {
        self.makes_checksums.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_have_a_collection_and_a_path() {
        for (location, id, path) in [
            ("keep:0a+1/a%20b/%231.txt", "0a+1", "a b/#1.txt"),
            ("keep:0a+1", "0a+1", ""),
            ("keep:0a+1/", "0a+1", ""),
            ("keep:x-4zz18-1/d/", "x-4zz18-1", "d"),
        ] {
            let place = Place::of(location).unwrap();
            assert_eq!((place.id, place.path.as_str()), (id, path), "{location}");
            assert_eq!(place.location(), location.trim_end_matches('/'));
        }
        assert_eq!(Place::of("file:///x"), None);
    }
}
