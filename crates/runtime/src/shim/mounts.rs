//! Mounts as descriptors (Linux 5.2 and later): made while the host's files are in view, put in
//! place when they no longer are.

use crate::sys;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What a mount never needs inside a container.
pub(super) const PLAIN: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
/// For file systems of the kernel's own.
pub(super) const KERNEL: MountAttrFlags = PLAIN.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// A new file system, mounted nowhere yet.
pub(super) fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        rustix::mount::fsconfig_set_string(&context, *name, *value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A second view of a file or directory of the host and, if `recursive`, of what is mounted
/// beneath it.
pub(super) fn view(path: &Path, recursive: bool) -> Result<OwnedFd> {
    let recursive = if recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(CWD, path, flags | recursive)
}

/// A second view of what is at `name` in an open directory; of the directory or file itself if
/// the name is empty.
pub(super) fn view_at(dir: impl AsFd, name: &str) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    rustix::mount::open_tree(dir, name, flags)
}

/// Adds restrictions (`MOUNT_ATTR_*`) to a mount, and if `recursive` to those beneath it.
pub(super) fn restrict(mount: impl AsFd, attributes: u64, recursive: bool) -> Result<()> {
    sys::mount_set(mount, attributes, recursive)
        .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
}

/// Puts a mount in place.
pub(super) fn attach(mount: impl AsFd, place: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", flags)
}

/// The container's root directory. Every path is resolved beneath it, links included, whatever
/// the image put there.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl Root {
    /// `/`, once it is the container's.
    pub(super) fn open() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open("/", flags, Mode::empty()).map(Self)
    }

    /// What is at `path`; absolute paths mean the container's.
    pub(super) fn at(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// A place to mount on: the directory or, for a file's mount, the file; made if missing.
    pub(super) fn ensure(&self, path: &str, kind: FileType) -> Result<OwnedFd> {
        match self.at(path, OFlags::PATH) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let parts: Vec<&str> =
            path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for n in 1..=parts.len() {
            let parent = self.at(&format!("/{}", parts[..n - 1].join("/")), OFlags::PATH)?;
            let name = parts[n - 1];
            if name == ".." {
                return Err(Errno::INVAL);
            }
            let made = if n == parts.len() && kind != FileType::Directory {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from(0o644)).map(drop)
            } else {
                rustix::fs::mkdirat(&parent, name, Mode::from(0o755))
            };
            match made {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.at(path, OFlags::PATH)
    }

    /// Writes a small file, in the place of whatever the image has of that name.
    pub(super) fn write(&self, folder: &str, name: &str, text: &str) -> Result<()> {
        let folder = self.ensure(folder, FileType::Directory)?;
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, name, flags, Mode::from(0o644))?;
        rustix::fs::fchmod(&file, Mode::from(0o644))?;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&file, rest)?..];
        }
        Ok(())
    }
}

/// Kind of file behind a descriptor.
pub(super) fn kind_of(file: impl AsFd) -> Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode))
}
