//! From an archive to an image in the store.

use super::archive::Archive;
use super::error::ImageError;
use super::layer;
use super::manifest::{self, Plan, PlannedLayer};
use super::name;
use super::record::{self, Record};
use super::store::{Image, ImageStore, random_hex};
use super::tarball::{self, Compression, Interrupt, Metered};
use crate::tree;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// Largest archive, compressed or not.
const ARCHIVE_BYTES_MAX: u64 = 256 << 30;
/// Largest layer, uncompressed, headers included.
const LAYER_BYTES_MAX: u64 = 128 << 30;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The archive is arriving.
    Receiving {
        /// So far.
        bytes: u64,
    },
    /// Layers are being unpacked.
    Unpacking {
        /// Layers that are in place.
        layers_done: usize,
        /// Layers of the image.
        layers: usize,
    },
}

type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// An image that was imported, and what it came from.
#[derive(Debug)]
pub struct Imported {
    /// The image; the first, where there were several.
    pub image: Image,
    /// The archive as `docker save` writes it, uncompressed, at its beginning. It has no name any more, and goes when
    /// it is closed.
    pub archive: File,
}

impl ImageStore {
    /// Imports an archive (docker-archive or OCI layout; plain, gzip or zstd) that arrives as a
    /// stream. With a name the image gets that name, without one the names that the archive
    /// gives. When it returns the image survives a crash; when it fails, or the future is
    /// dropped, nothing of it is left. Of several images in one archive the first is answered.
    pub async fn import(
        &self,
        mut reader: impl AsyncRead + Send + Unpin,
        name: Option<&str>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Image, ImageError> {
        let name = name.map(name::canonical).transpose()?;
        let scratch = Scratch::new(&self.tmp_dir())?;
        let path = scratch.path.join("archive");
        receive(&mut reader, &path, &progress).await?;
        let (image, _not_wanted) =
            self.unpack(path, scratch, name, Arc::new(progress), false).await?;
        Ok(image)
    }

    /// As [`ImageStore::import`], and answers the archive too, for whoever keeps archives.
    pub async fn import_and_keep(
        &self,
        mut reader: impl AsyncRead + Send + Unpin,
        name: Option<&str>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Imported, ImageError> {
        let name = name.map(name::canonical).transpose()?;
        let scratch = Scratch::new(&self.tmp_dir())?;
        let path = scratch.path.join("archive");
        receive(&mut reader, &path, &progress).await?;
        let (image, archive) = self.unpack(path, scratch, name, Arc::new(progress), true).await?;
        let archive = archive.ok_or(ImageError::Interrupted)?;
        Ok(Imported { image, archive })
    }

    /// The same for an archive file, which is read where it is.
    pub async fn import_file(
        &self,
        path: impl Into<PathBuf>,
        name: Option<&str>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Image, ImageError> {
        let name = name.map(name::canonical).transpose()?;
        let scratch = Scratch::new(&self.tmp_dir())?;
        let unpacked = self.unpack(path.into(), scratch, name, Arc::new(progress), false).await;
        unpacked.map(|(image, _not_wanted)| image)
    }

    async fn unpack(
        &self,
        path: PathBuf,
        scratch: Scratch,
        name: Option<String>,
        report: Report,
        keeps: bool,
    ) -> Result<(Image, Option<File>), ImageError> {
        let interrupt = Interrupt::default();
        // The work goes on in a thread of its own; it is told when nobody waits any more.
        let _told = InterruptOnDrop(interrupt.clone());
        let work = Import { store: self.clone(), scratch, interrupt, report, keeps };
        let imported = tokio::task::spawn_blocking(move || work.run(&path, name.as_deref()));
        imported.await.map_err(|_panicked_or_shut_down| ImageError::Interrupted)?
    }
}

async fn receive(
    reader: &mut (impl AsyncRead + Send + Unpin),
    path: &Path,
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<(), ImageError> {
    let store_error = |error| ImageError::store("write", path, error);
    let mut file = tokio::fs::File::create_new(path).await.map_err(store_error)?;
    file.set_max_buf_size(1 << 20);
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        let n = reader.read(&mut buffer).await.map_err(ImageError::Read)?;
        if n == 0 {
            break;
        }
        bytes += n as u64;
        if bytes > ARCHIVE_BYTES_MAX {
            return Err(archive_too_large());
        }
        file.write_all(&buffer[..n]).await.map_err(store_error)?;
        progress(Progress::Receiving { bytes });
    }
    file.flush().await.map_err(store_error)
}

fn archive_too_large() -> ImageError {
    ImageError::Limit { limit_name: "ARCHIVE_BYTES_MAX", limit: ARCHIVE_BYTES_MAX }
}

struct InterruptOnDrop(Interrupt);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// A directory in `tmp/` that goes away with its owner.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(tmp: &Path) -> Result<Self, ImageError> {
        let path = tmp.join(random_hex());
        fs::create_dir(&path).map_err(|error| ImageError::store("make", &path, error))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "an import left files behind");
        }
    }
}

/// A layer in its place, kept there until the image is on record.
struct Placed {
    size_bytes: u64,
    _in_use: OwnedFd,
}

/// The part of an import that blocks.
struct Import {
    store: ImageStore,
    scratch: Scratch,
    interrupt: Interrupt,
    report: Report,
    /// Whether the archive is wanted afterwards.
    keeps: bool,
}

impl Import {
    fn run(&self, path: &Path, name: Option<&str>) -> Result<(Image, Option<File>), ImageError> {
        let plain = self.plain_archive(path)?;
        let kept = plain.try_clone().map_err(ImageError::Read)?;
        let archive = Archive::index(plain)?;
        let plans = manifest::plans(&archive)?;
        let saved = match plans.first() {
            Some(first) if self.keeps => Some(self.saved_form(&archive, kept, first)?),
            _ => None,
        };
        if name.is_some() && plans.len() > 1 {
            return Err(ImageError::SeveralImages(plans.len()));
        }
        let mut first = None;
        for plan in plans {
            let image = self.import_image(&archive, plan, name)?;
            first.get_or_insert(image);
        }
        first.map(|image| (image, saved)).ok_or(ImageError::NotAnArchive)
    }

    /// The archive as `docker save` writes it: as it is, or made from an OCI layout.
    fn saved_form(
        &self,
        archive: &Archive,
        mut plain: File,
        plan: &Plan,
    ) -> Result<File, ImageError> {
        if archive.has("manifest.json") {
            plain.rewind().map_err(ImageError::Read)?;
            return Ok(plain);
        }
        let path = self.scratch.path.join("saved");
        let store_error = |error| ImageError::store("write", &path, error);
        let made = File::options().read(true).write(true).create_new(true).open(&path);
        let mut tar = tar::Builder::new(made.map_err(store_error)?);
        let config = format!("blobs/sha256/{}", plan.id_hex);
        let layers: Vec<&str> = plan.layers.iter().map(|layer| layer.part.as_str()).collect();
        let manifest = serde_json::json!([
            {"Config": config, "RepoTags": plan.names, "Layers": layers}
        ]);
        let manifest = manifest.to_string();
        append(&mut tar, "manifest.json", manifest.len() as u64, manifest.as_bytes())
            .map_err(store_error)?;
        // Equal layers lie there once.
        let parts: std::collections::BTreeSet<&str> =
            layers.iter().copied().chain([config.as_str()]).collect();
        for name in parts {
            let part = archive.open(name)?;
            append(&mut tar, name, part.len(), part).map_err(store_error)?;
        }
        let mut saved = tar.into_inner().map_err(store_error)?;
        saved.rewind().map_err(store_error)?;
        Ok(saved)
    }

    /// The archive as a seekable, uncompressed file.
    fn plain_archive(&self, path: &Path) -> Result<File, ImageError> {
        let mut file = File::open(path).map_err(|error| ImageError::store("open", path, error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(ImageError::NotAnArchive);
        }
        let mut magic = [0; 6];
        let n = file.read(&mut magic).map_err(ImageError::Read)?;
        file.rewind().map_err(ImageError::Read)?;
        if Compression::of(&magic[..n])? == Compression::None {
            return Ok(file);
        }
        let plain_path = self.scratch.path.join("plain");
        let store_error = |error| ImageError::store("write", &plain_path, error);
        let options = File::options().read(true).write(true).create_new(true).open(&plain_path);
        let mut plain = options.map_err(store_error)?;
        let mut reader =
            Metered::new(tarball::decompress(file)?, ARCHIVE_BYTES_MAX, &self.interrupt);
        let copied = io::copy(&mut reader, &mut plain);
        copied.map_err(|error| match error.raw_os_error() {
            Some(_) => store_error(error),
            None if self.interrupt.is_set() => ImageError::Interrupted,
            None if reader.is_over_limit() => archive_too_large(),
            None => ImageError::Read(error),
        })?;
        plain.rewind().map_err(ImageError::Read)?;
        Ok(plain)
    }

    fn import_image(
        &self,
        archive: &Archive,
        plan: Plan,
        name: Option<&str>,
    ) -> Result<Image, ImageError> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => {
                plan.names.iter().map(|name| name::canonical(name)).collect::<Result<_, _>>()?
            }
        };
        let layers = plan.layers.len();
        let mut placed = Vec::with_capacity(layers);
        for layer in &plan.layers {
            (self.report)(Progress::Unpacking { layers_done: placed.len(), layers });
            placed.push(self.place(archive, layer)?);
        }
        let record = Record {
            id: format!("sha256:{}", plan.id_hex),
            config: plan.config,
            layers: plan.layers.into_iter().map(|layer| layer.diff_id).collect(),
            size_bytes: placed.iter().map(|layer| layer.size_bytes).sum(),
            created: plan.created,
        };
        let image = self.store.commit(record, &names)?;
        (self.report)(Progress::Unpacking { layers_done: layers, layers });
        Ok(image)
    }

    /// Makes sure that a layer is in the store, and keeps it from being removed meanwhile.
    fn place(&self, archive: &Archive, layer: &PlannedLayer) -> Result<Placed, ImageError> {
        let place = self.store.layers_dir().join(&layer.diff_id);
        if let Some(placed) = in_place(&place)? {
            return Ok(placed);
        }
        let unpacking = self.scratch.path.join(&layer.diff_id);
        let size_bytes = self.unpack_layer(archive, layer, &unpacking)?;
        let in_use = lock_in_use(&unpacking.join("fs"))
            .map_err(|error| ImageError::store("lock", &unpacking, error))?;
        let moved = fs::rename(&unpacking, &place)
            .and_then(|()| record::sync_dir(&self.store.layers_dir()));
        match moved {
            Ok(()) => Ok(Placed { size_bytes, _in_use: in_use }),
            // Another import was faster; its layer has the same digest and is as good.
            Err(error) => match in_place(&place)? {
                Some(placed) => Ok(placed),
                None => Err(ImageError::store("write", place, error)),
            },
        }
    }

    /// Unpacks a layer into `dir/fs`, checks its digest and makes it durable.
    fn unpack_layer(
        &self,
        archive: &Archive,
        layer: &PlannedLayer,
        dir: &Path,
    ) -> Result<u64, ImageError> {
        let store_error = |error: io::Error| ImageError::store("write", dir, error);
        let root = dir.join("fs");
        fs::create_dir(dir).and_then(|()| fs::create_dir(&root)).map_err(store_error)?;
        let plain = tarball::decompress(archive.open(&layer.part)?)?;
        let reader = Metered::new(plain, LAYER_BYTES_MAX, &self.interrupt);
        let unpacked = layer::unpack(reader, &root, LAYER_BYTES_MAX);
        let unpacked = unpacked.map_err(|error| {
            if self.interrupt.is_set() { ImageError::Interrupted } else { error }
        })?;
        if unpacked.diff_id != layer.diff_id {
            return Err(ImageError::Digest {
                what: format!("layer {}", layer.part),
                expected: layer.diff_id.clone(),
                found: unpacked.diff_id,
            });
        }
        fs::write(dir.join("size"), unpacked.size_bytes.to_string()).map_err(store_error)?;
        File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?)).map_err(store_error)?;
        Ok(unpacked.size_bytes)
    }
}

fn append(
    tar: &mut tar::Builder<File>,
    name: &str,
    n_bytes: u64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(n_bytes);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, name, content)
}

/// A layer that is there already, locked against removal.
fn in_place(place: &Path) -> Result<Option<Placed>, ImageError> {
    // Removal renames under an exclusive lock; so a name that is still there once we hold the
    // lock stays until we let go.
    let Ok(in_use) = lock_in_use(&place.join("fs")) else { return Ok(None) };
    match fs::read_to_string(place.join("size")) {
        Ok(size) => Ok(Some(Placed { size_bytes: size.parse().unwrap_or(0), _in_use: in_use })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ImageError::store("read", place, error)),
    }
}

fn lock_in_use(layer: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(layer, flags, Mode::empty())?;
    rustix::fs::flock(&fd, FlockOperation::NonBlockingLockShared)?;
    Ok(fd)
}
