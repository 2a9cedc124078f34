//! The store: what is there, by which names, and how it goes away.

use super::error::ImageError;
use super::name;
use super::record::{self, Record, Refs};
use crate::tree;
use model::{ImageConfig, Timestamp};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `sha256:` and 64 hexadecimal digits: the digest of the image's configuration.
    pub id: String,
    /// Every name it has here, each with its tag.
    pub names: Vec<String>,
    /// How it says it wants to be run.
    pub config: ImageConfig,
    /// Directories of its layers, top first.
    pub layers: Vec<PathBuf>,
    /// Bytes of all layers, unpacked; layers shared with other images included.
    pub size_bytes: u64,
    /// When it was built, if it says so.
    pub created: Option<Timestamp>,
}

/// One line of a list of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// As in [`Image`].
    pub id: String,
    /// As in [`Image`]; empty if all its names now stand for other images.
    pub names: Vec<String>,
    /// As in [`Image`].
    pub size_bytes: u64,
    /// As in [`Image`].
    pub created: Option<Timestamp>,
    /// Number of layers.
    pub layers: usize,
}

/// The images under one directory. Cheap to clone. Its methods other than `import` read and write
/// small files, and block for about as long as a disk write takes.
#[derive(Debug, Clone)]
pub struct ImageStore {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    /// Held as long as the store is open, so that no other opener empties `tmp/` under us.
    _open_lock: File,
}

impl ImageStore {
    /// Opens the store in `dir`, making it if need be, readable by this user only (a layer may
    /// hold programs that are set-user-id for root). Removes what an interrupted import left.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ImageError> {
        let dir = dir.as_ref();
        for part in ["", "images", "layers", "tmp"] {
            let path = dir.join(part);
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| ImageError::store("make", &path, error))?;
        }
        // Absolute, so that it means the same to a container's processes.
        let dir = dir.canonicalize().map_err(|error| ImageError::store("find", dir, error))?;
        let open_lock = open_lock(&dir.join("open.lock"), &dir.join("tmp"))?;
        Ok(Self { inner: Arc::new(Inner { dir, _open_lock: open_lock }) })
    }

    /// Every image, sorted by id.
    pub fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        let refs = self.refs()?;
        let records = self.records()?.into_iter();
        Ok(records
            .map(|record| ImageSummary {
                names: names_of(&refs, &record.id),
                layers: record.layers.len(),
                id: record.id,
                size_bytes: record.size_bytes,
                created: record.created,
            })
            .collect())
    }

    /// Finds an image by a name (without a tag: `:latest`), by its id, or by the beginning of its
    /// id where that is not ambiguous (six digits or more).
    pub fn resolve(&self, name_or_id: &str) -> Result<Option<Image>, ImageError> {
        let refs = self.refs()?;
        let by_name = name::canonical(name_or_id).ok().and_then(|name| refs.get(&name).cloned());
        if let Some(id) = by_name {
            return Ok(self.record(&id)?.map(|record| self.image(record, &refs)));
        }
        let Some(prefix) = name::id_prefix(name_or_id) else { return Ok(None) };
        let mut matching = self
            .records()?
            .into_iter()
            .filter(|record| record.id.trim_start_matches("sha256:").starts_with(prefix));
        Ok(match (matching.next(), matching.next()) {
            (Some(record), None) => Some(self.image(record, &refs)),
            _ => None,
        })
    }

    /// Takes a name away, or, given an id, the image with all its names. An image without a name
    /// goes, and so do layers that no image needs, once no container runs on them. False if there
    /// was nothing of that name.
    pub fn remove(&self, name_or_id: &str) -> Result<bool, ImageError> {
        let _changing = self.lock_changes()?;
        let mut refs = self.refs()?;
        let name = name::canonical(name_or_id).ok();
        let removed = name.and_then(|name| refs.remove(&name));
        let Some(id) = removed.clone().or(self.resolve(name_or_id)?.map(|image| image.id)) else {
            return Ok(false);
        };
        if removed.is_none() {
            refs.retain(|_, named| *named != id);
        }
        self.write_refs(&refs)?;
        if !refs.values().any(|named| *named == id) {
            let path = self.record_path(&id);
            fs::remove_file(&path).map_err(|error| ImageError::store("remove", path, error))?;
        }
        self.collect_layers()?;
        Ok(true)
    }

    /// Adds an image whose layers are all in place, under `names`.
    pub(super) fn commit(&self, record: Record, names: &[String]) -> Result<Image, ImageError> {
        let _changing = self.lock_changes()?;
        let path = self.record_path(&record.id);
        record::write(&path, &self.tmp_dir(), &record)?;
        let mut refs = self.refs()?;
        for name in names {
            refs.insert(name.clone(), record.id.clone());
        }
        self.write_refs(&refs)?;
        Ok(self.image(record, &refs))
    }

    /// Removes the layers that no record names and no container uses.
    fn collect_layers(&self) -> Result<(), ImageError> {
        let needed: HashSet<String> =
            self.records()?.into_iter().flat_map(|record| record.layers).collect();
        let layers_dir = self.layers_dir();
        let store_error = |error| ImageError::store("list", &layers_dir, error);
        for entry in fs::read_dir(&layers_dir).map_err(store_error)? {
            let entry = entry.map_err(store_error)?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| needed.contains(name)) {
                continue;
            }
            let path = entry.path();
            // Kept open, and with it locked, until the layer is out of reach.
            let Some(_unused) = lock_unused(&path.join("fs")) else { continue };
            let doomed = self.tmp_dir().join(random_hex());
            fs::rename(&path, &doomed).map_err(|error| ImageError::store("remove", path, error))?;
            remove_in_background(doomed);
        }
        Ok(())
    }

    fn image(&self, record: Record, refs: &Refs) -> Image {
        let layers_dir = self.layers_dir();
        Image {
            names: names_of(refs, &record.id),
            layers: record
                .layers
                .iter()
                .rev()
                .map(|layer| layers_dir.join(layer).join("fs"))
                .collect(),
            id: record.id,
            config: record.config,
            size_bytes: record.size_bytes,
            created: record.created,
        }
    }

    /// Held while records and names change; other processes wait.
    pub(super) fn lock_changes(&self) -> Result<File, ImageError> {
        let path = self.inner.dir.join("change.lock");
        open_lock_file(&path)
            .and_then(|file| {
                Ok(rustix::fs::flock(&file, FlockOperation::LockExclusive).map(|()| file)?)
            })
            .map_err(|error| ImageError::store("lock", path, error))
    }

    fn refs(&self) -> Result<Refs, ImageError> {
        Ok(record::read(&self.inner.dir.join("refs.json"))?.unwrap_or_default())
    }

    fn write_refs(&self, refs: &Refs) -> Result<(), ImageError> {
        record::write(&self.inner.dir.join("refs.json"), &self.tmp_dir(), refs)
    }

    fn record(&self, id: &str) -> Result<Option<Record>, ImageError> {
        record::read(&self.record_path(id))
    }

    fn records(&self) -> Result<Vec<Record>, ImageError> {
        let dir = self.inner.dir.join("images");
        let entries = fs::read_dir(&dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<_> = entries
            .map_err(|error| ImageError::store("list", dir, error))?
            .into_iter()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        // A record that went away meanwhile is no error.
        paths.iter().filter_map(|path| record::read(path).transpose()).collect()
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.inner.dir.join("images").join(format!("{}.json", id.trim_start_matches("sha256:")))
    }

    pub(super) fn layers_dir(&self) -> PathBuf {
        self.inner.dir.join("layers")
    }

    pub(super) fn tmp_dir(&self) -> PathBuf {
        self.inner.dir.join("tmp")
    }
}

fn names_of(refs: &Refs, id: &str) -> Vec<String> {
    refs.iter().filter(|(_, named)| *named == id).map(|(name, _)| name.clone()).collect()
}

/// Whoever can lock it alone is the only opener, and may empty `tmp`.
fn open_lock(path: &Path, tmp: &Path) -> Result<File, ImageError> {
    let lock = open_lock_file(path).map_err(|error| ImageError::store("open", path, error))?;
    if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        tree::remove_contents(tmp).map_err(|error| ImageError::store("empty", tmp, error))?;
    }
    rustix::fs::flock(&lock, FlockOperation::LockShared)
        .map_err(|error| ImageError::store("lock", path, error))?;
    Ok(lock)
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Locks a layer alone, if no container runs on it.
fn lock_unused(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let layer = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let locked = rustix::fs::flock(&layer, FlockOperation::NonBlockingLockExclusive);
    locked.is_ok().then_some(layer)
}

/// A large layer takes seconds to remove; whoever takes an image away need not wait for that. What
/// a crash leaves is removed when the store is opened next.
fn remove_in_background(doomed: PathBuf) {
    let remove = move || {
        if let Err(error) = tree::remove(&doomed) {
            tracing::warn!(path = %doomed.display(), %error, "a removed layer left files behind");
        }
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(remove)),
        Err(_none) => remove(),
    }
}

/// A name that nothing else has: 128 random bits.
pub(super) fn random_hex() -> String {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 16];
    // The kernel's generator does not fail once it is seeded, which it is long before us; were it
    // to, `create_new` and `mkdir` would still refuse a name that is taken.
    let _seeded = ring::rand::SystemRandom::new().fill(&mut bytes);
    hex(&bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
