//! Unpacks one layer into a directory, in the form that overlayfs takes as a lower directory.
//!
//! The archive is not trusted. Every path is resolved by the kernel beneath the layer's root
//! (`openat2` with `RESOLVE_IN_ROOT`), so that neither `..` nor any symbolic link in the layer
//! leads out of it. Device nodes are left out (the overlay is mounted `nodev` anyway), so are
//! extended attributes other than the user's own.

mod place;

use super::error::ImageError;
use super::tarball::{Leash, Limited, Metered};
use place::{Place, Places};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Most files, directories and links in one layer.
const LAYER_ENTRIES_MAX: u64 = 4_000_000;

/// Prefix of a file name that takes a name of a lower layer away (OCI image-spec, layer.md).
const WHITEOUT: &[u8] = b".wh.";
/// Name that takes away all that lower layers have in this directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A layer that was unpacked.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// Digest of the whole archive, hexadecimal.
    pub(super) diff_id: String,
    /// Bytes in its files.
    pub(super) size_bytes: u64,
}

type Entry<'a, R> = tar::Entry<'a, Limited<Metered<R>>>;

/// Unpacks an uncompressed archive into the empty directory `root`.
pub(super) fn unpack<R: Read>(
    reader: Metered<R>,
    root: &Path,
    bytes_max: u64,
) -> Result<Unpacked, ImageError> {
    let leash = Leash::new();
    let mut archive = tar::Archive::new(Limited::new(reader, &leash));
    let mut writer = Writer::new(root)?;
    let unpacked = writer.add_all(&mut archive, &leash);
    let reader = archive.into_inner().into_inner();
    let over_limit = ImageError::Limit { limit_name: "LAYER_BYTES_MAX", limit: bytes_max };
    if let Err(error) = unpacked {
        return Err(if reader.is_over_limit() { over_limit } else { error });
    }
    writer.finish()?;
    // Whatever follows the end of the archive belongs to the digest.
    let diff_id = reader.finish().map_err(ImageError::Read)?;
    Ok(Unpacked { diff_id, size_bytes: writer.size_bytes })
}

/// Owner, mode and time of a directory, set when everything in it is written.
struct Later {
    place: Place,
    attributes: Attributes,
}

struct Attributes {
    mode: Mode,
    owner: Option<(Uid, Gid)>,
    times: Timestamps,
}

struct Writer<'r> {
    root_path: &'r Path,
    places: Places,
    directories: Vec<Later>,
    /// Root can give files away; an ordinary user owns all of them, inside and out.
    is_root: bool,
    n_entries: u64,
    size_bytes: u64,
    buffer: Vec<u8>,
}

impl<'r> Writer<'r> {
    fn new(root_path: &'r Path) -> Result<Self, ImageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root_path, flags, Mode::empty())
            .and_then(|root| rustix::fs::fchmod(&root, Mode::from(0o755)).map(|()| root))
            .map_err(|errno| ImageError::store("open", root_path, errno))?;
        Ok(Self {
            root_path,
            places: Places::new(root),
            directories: Vec::new(),
            is_root: rustix::process::geteuid().is_root(),
            n_entries: 0,
            size_bytes: 0,
            buffer: vec![0; 128 << 10],
        })
    }

    fn add_all<R: Read>(
        &mut self,
        archive: &mut tar::Archive<Limited<Metered<R>>>,
        leash: &Leash,
    ) -> Result<(), ImageError> {
        let broken = |n, error| leash.explain(error, ImageError::no_tar_entry("a layer", n));
        let entries = archive.entries().map_err(|error| broken(1, error))?;
        leash.tighten();
        for entry in entries {
            self.n_entries += 1;
            let n = self.n_entries;
            let mut entry = entry.map_err(|error| broken(n, error))?;
            leash.loosen();
            if self.n_entries > LAYER_ENTRIES_MAX {
                let limit_name = "LAYER_ENTRIES_MAX";
                return Err(ImageError::Limit { limit_name, limit: LAYER_ENTRIES_MAX });
            }
            self.add(&mut entry, &|error| broken(n, error))?;
            // What was not wanted is passed over here, so that the leash covers headers only.
            io::copy(&mut entry, &mut io::sink()).map_err(|error| broken(n, error))?;
            leash.tighten();
        }
        Ok(())
    }

    /// `broken` says what an error of the `tar` crate means.
    fn add<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        broken: &dyn Fn(io::Error) -> ImageError,
    ) -> Result<(), ImageError> {
        let path = entry.path_bytes().into_owned();
        let place = Place::of(&path)?;
        let attributes = self.attributes(entry);
        let kind = entry.header().entry_type();
        if place.name.starts_with(WHITEOUT) {
            return self.white_out(&place);
        }
        // Old archives mark a directory by a slash at the end of its name only.
        if kind.is_dir() || (kind.is_file() && path.ends_with(b"/")) {
            return self.directory(place, attributes);
        }
        if place.is_root() {
            return Ok(());
        }
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            self.file(entry, &place, &attributes, broken)
        } else if kind.is_symlink() {
            self.symlink(&link_target(entry, &place)?, &place, &attributes)
        } else if kind.is_hard_link() {
            self.hard_link(&link_target(entry, &place)?, &place)
        } else if kind.is_fifo() {
            self.fifo(&place, &attributes)
        } else {
            Ok(()) // Device nodes and what later standards may bring.
        }
    }

    /// Fields left empty mean zero, as other readers have it; ids too large for the kernel, nobody.
    fn attributes<R: Read>(&self, entry: &Entry<'_, R>) -> Attributes {
        const NOBODY: u32 = 65_534;
        let header = entry.header();
        let id = |id: io::Result<u64>| {
            u32::try_from(id.unwrap_or(0)).ok().filter(|id| *id != u32::MAX).unwrap_or(NOBODY)
        };
        let owner = (Uid::from_raw(id(header.uid())), Gid::from_raw(id(header.gid())));
        let mtime = i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0);
        let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
        Attributes {
            mode: Mode::from_raw_mode(header.mode().unwrap_or(0o644) & 0o7777),
            owner: self.is_root.then_some(owner),
            times: Timestamps { last_access: time, last_modification: time },
        }
    }

    fn file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        place: &Place,
        attributes: &Attributes,
        broken: &dyn Fn(io::Error) -> ImageError,
    ) -> Result<(), ImageError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.places.replacing(place, |parent, name| {
            rustix::fs::openat(parent, name, flags, Mode::from(0o600))
        });
        let file = file.map_err(|errno| self.failed(place, errno))?;
        let mut file = File::from(file);
        loop {
            let n = entry.read(&mut self.buffer).map_err(broken)?;
            if n == 0 {
                break;
            }
            file.write_all(&self.buffer[..n])
                .map_err(|error| ImageError::store("write", self.root_path, error))?;
            self.size_bytes += n as u64;
        }
        set_user_attributes(entry, &file).map_err(broken)?;
        apply(&file, attributes).map_err(|errno| self.failed(place, errno))
    }

    fn directory(&mut self, place: Place, attributes: Attributes) -> Result<(), ImageError> {
        if !place.is_root() {
            let made = self.places.ensure_directory(&place);
            let hides_lower = made.map_err(|errno| self.failed(&place, errno))?;
            if hides_lower {
                self.make_opaque(&place)?;
            }
        }
        self.directories.push(Later { place, attributes });
        Ok(())
    }

    fn symlink(
        &mut self,
        target: &[u8],
        place: &Place,
        attributes: &Attributes,
    ) -> Result<(), ImageError> {
        let made = self.places.replacing(place, |parent, name| {
            rustix::fs::symlinkat(target, parent, name)?;
            if let Some((uid, gid)) = attributes.owner {
                rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            rustix::fs::utimensat(parent, name, &attributes.times, AtFlags::SYMLINK_NOFOLLOW)
        });
        made.map_err(|errno| self.failed(place, errno))
    }

    fn hard_link(&mut self, target: &[u8], place: &Place) -> Result<(), ImageError> {
        let target = Place::of(target)?;
        let linked = self.places.open_parent(&target).and_then(|from| {
            self.places.replacing(place, |parent, name| {
                // Without `SYMLINK_FOLLOW` the last part is taken as it is.
                rustix::fs::linkat(&from, target.name.as_slice(), parent, name, AtFlags::empty())
            })
        });
        linked.map_err(|errno| match errno {
            Errno::NOENT | Errno::PERM => ImageError::Hostile {
                entry: place.to_string(),
                problem: format!("is a hard link to `{target}`, which is not a file of the layer"),
            },
            errno => self.failed(place, errno),
        })
    }

    fn fifo(&mut self, place: &Place, attributes: &Attributes) -> Result<(), ImageError> {
        let made = self.places.replacing(place, |parent, name| {
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(parent, name, kind, attributes.mode, 0)
        });
        made.map_err(|errno| self.failed(place, errno))
    }

    /// Overlayfs wants a character device 0/0 in the place of what is gone, and an attribute on a
    /// directory whose lower namesakes do not shine through.
    fn white_out(&mut self, place: &Place) -> Result<(), ImageError> {
        if place.name == OPAQUE {
            return self.make_opaque(&place.parent());
        }
        let name = &place.name[WHITEOUT.len()..];
        // `.wh..wh.` names are an older file system's own business.
        if name.starts_with(WHITEOUT) {
            return Ok(());
        }
        let gone = place.sibling(name)?;
        let made = self.places.white_out(&gone);
        let hides_lower = made.map_err(|errno| self.failed(&gone, errno))?;
        if hides_lower { self.make_opaque(&gone) } else { Ok(()) }
    }

    /// Sets both forms of the attribute where that is allowed: which one counts depends on who
    /// mounts the overlay.
    fn make_opaque(&mut self, place: &Place) -> Result<(), ImageError> {
        let marked = self.places.open_directory(place).and_then(|dir| {
            let flags = rustix::fs::XattrFlags::empty();
            if self.is_root {
                rustix::fs::fsetxattr(&dir, "trusted.overlay.opaque", b"y", flags)?;
            }
            rustix::fs::fsetxattr(&dir, "user.overlay.opaque", b"y", flags)
        });
        marked.map_err(|errno| self.failed(place, errno))
    }

    /// Gives directories their owner, mode and time, the deepest first: a mode may lock us out.
    fn finish(&mut self) -> Result<(), ImageError> {
        self.directories.sort_by_key(|later| std::cmp::Reverse(later.place.depth()));
        for mut later in std::mem::take(&mut self.directories) {
            if later.place.is_root() {
                // The store itself must be able to open it, whoever owns the store.
                later.attributes.mode |= Mode::RWXU;
            }
            let applied = self.places.open_directory(&later.place);
            let applied = applied.and_then(|dir: OwnedFd| apply(dir, &later.attributes));
            match applied {
                // Something later in the archive took its place.
                Err(Errno::NOTDIR | Errno::NOENT | Errno::LOOP) => {}
                applied => applied.map_err(|errno| self.failed(&later.place, errno))?,
            }
        }
        Ok(())
    }

    /// Whose fault a failed call is: the archive's, if its paths make no sense.
    fn failed(&self, place: &Place, errno: Errno) -> ImageError {
        let problem = match errno {
            Errno::XDEV => "leads out of the layer",
            Errno::LOOP => "leads through a loop of links",
            Errno::NAMETOOLONG => "has a name that is too long",
            Errno::NOTDIR => "lies beneath something that is not a directory",
            Errno::INVAL => "has a name that no file can have",
            errno => {
                return ImageError::store("write", self.root_path.join(place.to_string()), errno);
            }
        };
        ImageError::Hostile { entry: place.to_string(), problem: problem.to_owned() }
    }
}

/// Owner first: changing it takes set-user-id bits away.
fn apply(file: impl AsFd, attributes: &Attributes) -> rustix::io::Result<()> {
    if let Some((uid, gid)) = attributes.owner {
        rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    rustix::fs::fchmod(&file, attributes.mode)?;
    rustix::fs::futimens(&file, &attributes.times)
}

/// Keeps attributes of the `user.` name space. Overlay's own would let a layer redirect lookups,
/// `security.` ones could grant capabilities, so they are dropped.
fn set_user_attributes<R: Read>(entry: &mut Entry<'_, R>, file: &File) -> io::Result<()> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    for extension in extensions {
        let extension = extension?;
        let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else { continue };
        if name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") {
            let flags = rustix::fs::XattrFlags::empty();
            // A file system without such attributes is no reason to refuse the image.
            let _unsupported = rustix::fs::fsetxattr(file, name, extension.value_bytes(), flags);
        }
    }
    Ok(())
}

fn link_target<R: Read>(entry: &Entry<'_, R>, place: &Place) -> Result<Vec<u8>, ImageError> {
    entry.link_name_bytes().map(|target| target.into_owned()).ok_or_else(|| ImageError::Hostile {
        entry: place.to_string(),
        problem: "is a link to nowhere".to_owned(),
    })
}
