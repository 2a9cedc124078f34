//! Places in a layer: names from an untrusted archive, resolved beneath the layer's root.

use crate::images::error::ImageError;
use crate::tree;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Longest path of a layer's entry, in bytes: the kernel's own limit.
const PATH_BYTES_MAX: usize = 4096;

/// A cleaned path: no empty parts, no `.`, no `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Parts joined by slashes; empty for the layer's root.
    folder: Vec<u8>,
    /// The last part; empty for the root itself.
    pub(super) name: Vec<u8>,
}

impl Place {
    /// Cleans an entry's path. A leading slash means the layer's root; `..` is refused.
    pub(super) fn of(path: &[u8]) -> std::result::Result<Self, ImageError> {
        let hostile = |problem: &str| {
            let entry = String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned();
            Err(ImageError::Hostile { entry, problem: problem.to_owned() })
        };
        if path.len() >= PATH_BYTES_MAX {
            return hostile("has a path longer than PATH_BYTES_MAX = 4096");
        }
        if path.contains(&0) {
            return hostile("has a zero byte in its path");
        }
        let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
        let mut parts: Vec<&[u8]> = parts.collect();
        if parts.contains(&b"..".as_slice()) {
            return hostile("leads out of the layer");
        }
        let name = parts.pop().unwrap_or_default().to_vec();
        Ok(Self { folder: parts.join(&b'/'), name })
    }

    pub(super) fn is_root(&self) -> bool {
        self.name.is_empty()
    }

    /// The directory that this is in; the root's is the root.
    pub(super) fn parent(&self) -> Self {
        match self.folder.iter().rposition(|b| *b == b'/') {
            Some(slash) => Self {
                folder: self.folder[..slash].to_vec(),
                name: self.folder[slash + 1..].to_vec(),
            },
            None => Self { folder: Vec::new(), name: self.folder.clone() },
        }
    }

    /// Another name in the same directory.
    pub(super) fn sibling(&self, name: &[u8]) -> std::result::Result<Self, ImageError> {
        let mut path = self.folder.clone();
        path.push(b'/');
        path.extend_from_slice(name);
        let sibling = Self::of(&path)?;
        if sibling.name != name {
            return Err(ImageError::Hostile {
                entry: self.to_string(),
                problem: "takes away something that has no name".to_owned(),
            });
        }
        Ok(sibling)
    }

    pub(super) fn depth(&self) -> usize {
        let slashes = self.folder.iter().filter(|b| **b == b'/').count();
        slashes + usize::from(!self.folder.is_empty()) + usize::from(!self.is_root())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = String::from_utf8_lossy(&self.folder);
        let separator = if folder.is_empty() { "" } else { "/" };
        write!(f, "{folder}{separator}{}", String::from_utf8_lossy(&self.name))
    }
}

/// Opens places. Remembers the last directory, as archives are written directory by directory.
#[derive(Debug)]
pub(super) struct Places {
    root: OwnedFd,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

impl Places {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root, last: None }
    }

    /// Makes something at `place`; whatever the archive put there before goes away.
    pub(super) fn replacing<T>(
        &mut self,
        place: &Place,
        make: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<T>,
    ) -> Result<T> {
        let parent = self.open_parent(place)?;
        match make(parent.as_fd(), &place.name) {
            Err(Errno::EXIST) => {
                self.remove(parent.as_fd(), &place.name)?;
                make(parent.as_fd(), &place.name)
            }
            made => made,
        }
    }

    /// Makes a directory unless it is there. True if it took the place of a whiteout: then it
    /// must hide what lower layers have under its name.
    pub(super) fn ensure_directory(&mut self, place: &Place) -> Result<bool> {
        let parent = self.open_parent(place)?;
        match rustix::fs::mkdirat(&*parent, place.name.as_slice(), Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => return made.map(|()| false),
        }
        let there = kind_of(parent.as_fd(), &place.name)?;
        if there == FileType::Directory {
            return Ok(false);
        }
        self.remove(parent.as_fd(), &place.name)?;
        rustix::fs::mkdirat(&*parent, place.name.as_slice(), Mode::RWXU)?;
        Ok(there == FileType::CharacterDevice)
    }

    /// Takes a name of lower layers away. If this layer itself has something of that name, that
    /// stays; true if it is a directory, which must then hide the lower one.
    pub(super) fn white_out(&mut self, place: &Place) -> Result<bool> {
        let parent = self.open_parent(place)?;
        let (kind, mode) = (FileType::CharacterDevice, Mode::empty());
        match rustix::fs::mknodat(&*parent, place.name.as_slice(), kind, mode, 0) {
            Err(Errno::EXIST) => Ok(kind_of(parent.as_fd(), &place.name)? == FileType::Directory),
            made => made.map(|()| false),
        }
    }

    /// Opens the directory that `place` is in, making what is missing.
    pub(super) fn open_parent(&mut self, place: &Place) -> Result<Rc<OwnedFd>> {
        if let Some((folder, fd)) = &self.last
            && *folder == place.folder
        {
            return Ok(Rc::clone(fd));
        }
        let fd = match self.open_path(&place.folder) {
            Err(Errno::NOENT) => {
                self.make_path(&place.folder)?;
                self.open_path(&place.folder)?
            }
            opened => opened?,
        };
        let fd = Rc::new(fd);
        self.last = Some((place.folder.clone(), Rc::clone(&fd)));
        Ok(fd)
    }

    /// Opens a directory itself, which must be one.
    pub(super) fn open_directory(&mut self, place: &Place) -> Result<OwnedFd> {
        if place.is_root() {
            return self.open_path(b"");
        }
        let parent = self.open_parent(place)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&*parent, place.name.as_slice(), flags, Mode::empty())
    }

    fn open_path(&self, folder: &[u8]) -> Result<OwnedFd> {
        let path = if folder.is_empty() { b"." } else { folder };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Links within the layer are followed as the container would, from the layer's root.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    fn make_path(&self, folder: &[u8]) -> Result<()> {
        let ends = folder.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        let mut start = 0;
        for end in ends.chain([folder.len()]) {
            let parent = self.open_path(&folder[..start])?;
            match rustix::fs::mkdirat(&parent, &folder[start..end], Mode::from(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            start = end + 1;
        }
        Ok(())
    }

    fn remove(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.last = None;
        tree::remove_at(parent, name)
    }
}

fn kind_of(parent: BorrowedFd<'_>, name: &[u8]) -> Result<FileType> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_cleaned_and_never_lead_out() {
        for (path, shown, depth) in
            [("./a//b/.", "a/b", 2), ("/etc/passwd", "etc/passwd", 2), ("./", "", 0), ("a", "a", 1)]
        {
            let place = Place::of(path.as_bytes()).unwrap();
            assert_eq!((place.to_string().as_str(), place.depth()), (shown, depth));
        }
        for hostile in ["..", "../x", "a/../../x", "a/..", "a\0b", &"a/".repeat(3000)] {
            assert!(Place::of(hostile.as_bytes()).is_err(), "{hostile:?}");
        }
        let whiteout = Place::of(b"a/.wh...").unwrap();
        assert!(whiteout.sibling(b"..").is_err());
        assert!(whiteout.sibling(b"").is_err());
    }

    #[test]
    fn the_parent_of_a_place_is_a_place() {
        let place = Place::of(b"a/b/c").unwrap();
        assert_eq!(place.parent(), Place::of(b"a/b").unwrap());
        assert_eq!(place.parent().parent(), Place::of(b"a").unwrap());
        assert!(place.parent().parent().parent().is_root());
    }
}
