//! Removing directory trees that someone else filled: nothing outside is ever touched, modes that
//! keep even the owner out are no obstacle, and neither is any depth.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Levels that are walked down at a time, with two descriptors open for each. Deeper ones are
/// first moved up: paths of the kernel's length hold 2000 levels, and step by step any number
/// can be made.
const DEPTH_MAX: usize = 100;

/// Removes `path` and all beneath it; fine if there is nothing. For what containers and images
/// filled, whose modes may keep even their owner out (`std::fs::remove_dir_all` then fails).
pub fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match open_dir(rustix::fs::CWD, parent.as_os_str().as_encoded_bytes()) {
        Ok(parent) => Ok(remove_at(parent.as_fd(), name.as_encoded_bytes())?),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes all beneath `path`, which stays.
pub(crate) fn remove_contents(path: &Path) -> io::Result<()> {
    Ok(empty(&open_dir(rustix::fs::CWD, path.as_os_str().as_encoded_bytes())?)?)
}

/// Removes the entry `name` of an open directory and all beneath it; fine if there is nothing.
pub(crate) fn remove_at(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Not a file; or, says POSIX, not ours to remove, which removing it as a directory tells.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    match open_closed_dir(parent, name) {
        Ok(dir) => empty(&dir)?,
        // Whoever else removes the tree was faster.
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    remove_empty(parent, name)
}

fn remove_empty(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Empties a directory; what lies too deep comes up and is emptied in the next round.
fn empty(top: &OwnedFd) -> rustix::io::Result<()> {
    let mut walk = Walk { top: top.as_fd(), n_moved: 0 };
    loop {
        let before = walk.n_moved;
        walk.empty(top, 0)?;
        if walk.n_moved == before {
            return Ok(());
        }
    }
}

struct Walk<'t> {
    top: BorrowedFd<'t>,
    n_moved: u64,
}

impl Walk<'_> {
    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
        let mut was_opened = false;
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut removed = self.remove(dir.as_fd(), name, depth);
            if removed == Err(Errno::ACCESS) && !was_opened {
                was_opened = true;
                rustix::fs::fchmod(dir, Mode::RWXU)?;
                removed = self.remove(dir.as_fd(), name, depth);
            }
            removed?;
        }
        Ok(())
    }

    fn remove(&mut self, dir: BorrowedFd<'_>, name: &[u8], depth: usize) -> rustix::io::Result<()> {
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
        let below = match open_closed_dir(dir, name) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        if depth >= DEPTH_MAX {
            // Moving a directory needs leave to write in it.
            rustix::fs::fchmod(&below, Mode::RWXU)?;
            return self.move_up(dir, name);
        }
        self.empty(&below, depth + 1)?;
        drop(below);
        remove_empty(dir, name)
    }

    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
        loop {
            self.n_moved += 1;
            let new_name = format!("moved-{}", self.n_moved);
            let keep = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(dir, name, self.top, new_name, keep) {
                Err(Errno::EXIST) => {}
                moved => return moved,
            }
        }
    }
}

/// Opens a directory even if its mode keeps us out: overlay's own work directory has mode 0, and
/// an image's may.
fn open_closed_dir(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    match open_dir(parent, name) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open_dir(parent, name)
        }
        opened => opened,
    }
}

fn open_dir(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
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
        fs::set_permissions(doomed.join("a/b"), fs::Permissions::from_mode(0o0)).unwrap();
        fs::set_permissions(doomed.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&doomed).unwrap();
        assert!(!doomed.exists());
        assert!(outside.join("precious").exists());
        remove(&doomed).unwrap();
    }

    #[test]
    fn no_depth_is_too_deep() {
        let dir = tempfile::tempdir().unwrap();
        let doomed = dir.path().join("doomed");
        fs::create_dir_all(doomed.join("moved-1/inside")).unwrap();
        let mut at = open_dir(rustix::fs::CWD, doomed.as_os_str().as_encoded_bytes()).unwrap();
        for _ in 0..1200 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open_dir(&at, b"d").unwrap();
        }
        drop(at);
        remove(&doomed).unwrap();
        assert!(!doomed.exists());
    }
}
