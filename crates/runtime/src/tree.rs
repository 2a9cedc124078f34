//! Removing directory trees that someone else filled: nothing outside is ever touched, and modes
//! that keep even the owner out are no obstacle.

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Deepest tree that is removed. Deeper ones cannot be made with paths of the kernel's length at
/// a time, but step by step they can.
const DEPTH_MAX: usize = 2048;

/// Removes `path` and all beneath it; fine if there is nothing.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match open_dir(rustix::fs::CWD, parent.as_os_str().as_encoded_bytes()) {
        Ok(parent) => remove_at(parent.as_fd(), name.as_encoded_bytes(), 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes all beneath `path`, which stays.
pub(crate) fn remove_contents(path: &Path) -> io::Result<()> {
    empty(&open_dir(rustix::fs::CWD, path.as_os_str().as_encoded_bytes())?, 0)
}

/// Removes the entry `name` of an open directory and all beneath it; fine if there is nothing.
pub(crate) fn remove_at(parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    if depth > DEPTH_MAX {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    let dir = match open_dir(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Overlay's own work directory has mode 0, and an image's may.
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open_dir(parent, name)?
        }
        // Whoever else removes the tree was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    empty(&dir, depth + 1)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn empty(dir: &OwnedFd, depth: usize) -> io::Result<()> {
    let mut writable = false;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let removed = remove_at(dir.as_fd(), name, depth);
        if matches!(&removed, Err(e) if e.kind() == io::ErrorKind::PermissionDenied) && !writable {
            writable = true;
            rustix::fs::fchmod(dir, Mode::RWXU)?;
            remove_at(dir.as_fd(), name, depth)?;
        } else {
            removed?;
        }
    }
    Ok(())
}

fn open_dir(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, doomed) = (dir.path().join("outside"), dir.path().join("doomed"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "x").unwrap();
        fs::create_dir_all(doomed.join("a/b/c")).unwrap();
        symlink(&outside, doomed.join("a/link")).unwrap();
        fs::write(doomed.join("a/b/file"), "y").unwrap();
        fs::set_permissions(doomed.join("a/b"), fs::Permissions::from_mode(0)).unwrap();
        fs::set_permissions(doomed.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&doomed).unwrap();
        assert!(!doomed.exists());
        assert!(outside.join("precious").exists());
        remove(&doomed).unwrap();
    }
}
