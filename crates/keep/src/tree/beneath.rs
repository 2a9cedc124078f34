//! Finding what is at a path inside a directory, following links by hand so that none leads out.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use super::TreeFault;

/// Links followed for one path, as the kernel does it.
const LINKS_MAX: u32 = 40;

/// A directory that nothing leads out of.
#[derive(Debug)]
pub(super) struct Beneath {
    root: OwnedFd,
    /// Where it is for the program that made the links in it: absolute ones that begin with this lead
    /// inside.
    seen_as: Option<PathBuf>,
    shown: PathBuf,
}

/// What is at a path, and where it really is.
#[derive(Debug)]
pub(super) struct Found {
    /// Names from the top, none of them a link.
    pub(super) place: Vec<OsString>,
    pub(super) kind: FileType,
}

impl Beneath {
    pub(super) fn open(path: &Path, seen_as: Option<PathBuf>) -> Result<Self, TreeFault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            openat(CWD, path, flags, Mode::empty()).map_err(|errno| failed("open", path, errno))?;
        Ok(Self { root, seen_as, shown: path.to_owned() })
    }

    /// The names in a directory and what they are, in order; links are not followed.
    pub(super) fn list(&self, place: &[OsString]) -> Result<Vec<(OsString, FileType)>, TreeFault> {
        let failed = |errno| failed("list", &self.path(place), errno);
        let directory = self.directory(place)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_owned();
            if !matches!(name.as_slice(), b"." | b"..") {
                names.push(OsStr::from_bytes(&name).to_owned());
            }
        }
        names.sort_unstable();
        let kind = |name: OsString| {
            let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            Ok((name, FileType::from_raw_mode(stat.st_mode)))
        };
        names.into_iter().map(kind).collect()
    }

    /// Opens a regular file whose place has no links.
    pub(super) fn file(&self, place: &[OsString]) -> Result<File, TreeFault> {
        let failed = |errno| failed("open", &self.path(place), errno);
        let (name, above) = place.split_last().ok_or_else(|| failed(Errno::ISDIR))?;
        let directory = self.directory(above)?;
        // Not blocking: what was a file a moment ago may be a pipe now.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&directory, name, flags, Mode::empty()).map_err(failed)?);
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file { Ok(file) } else { Err(failed(Errno::INVAL)) }
    }

    /// Where a link leads, through others if need be. `link` is its place.
    pub(super) fn follow(&self, link: &[OsString]) -> Result<Found, TreeFault> {
        let shown = || shown(link);
        let mut todo: VecDeque<OsString> = link.iter().cloned().collect();
        let mut place: Vec<OsString> = Vec::new();
        let mut kind = FileType::Directory;
        let mut n_links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                place.pop().ok_or_else(|| self.leads_out(link))?;
                kind = FileType::Directory;
                continue;
            }
            let directory = match self.directory(&place) {
                Err(TreeFault::Io { .. }) => return Err(self.leads_out(link)),
                other => other?,
            };
            let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(|_nothing_there| self.leads_out(link))?;
            kind = FileType::from_raw_mode(stat.st_mode);
            if kind != FileType::Symlink {
                place.push(name);
                continue;
            }
            n_links += 1;
            if n_links > LINKS_MAX {
                return Err(TreeFault::Circle(shown()));
            }
            let target = readlinkat(&directory, &name, Vec::new())
                .map_err(|errno| failed("read the link", &self.path(link), errno))?;
            let target = Path::new(OsStr::from_bytes(target.to_bytes()));
            let inside = if target.is_absolute() {
                place.clear();
                let seen_as = self.seen_as.as_deref();
                seen_as.and_then(|seen_as| target.strip_prefix(seen_as).ok())
            } else {
                Some(target)
            };
            let inside = inside.ok_or_else(|| self.leads_out(link))?;
            for name in names(inside).into_iter().rev() {
                todo.push_front(name);
            }
            kind = FileType::Directory;
        }
        Ok(Found { place, kind })
    }

    /// Opens a directory whose place has no links.
    fn directory(&self, place: &[OsString]) -> Result<OwnedFd, TreeFault> {
        let failed = |errno| failed("open", &self.path(place), errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |directory: BorrowedFd<'_>, name: &OsStr| {
            openat(directory, name, flags, Mode::empty()).map_err(failed)
        };
        let mut directory = open(self.root.as_fd(), OsStr::new("."))?;
        for name in place {
            directory = open(directory.as_fd(), name)?;
        }
        Ok(directory)
    }

    fn path(&self, place: &[OsString]) -> PathBuf {
        self.shown.join(place.iter().collect::<PathBuf>())
    }

    fn leads_out(&self, link: &[OsString]) -> TreeFault {
        let target = std::fs::read_link(self.path(link)).unwrap_or_default();
        TreeFault::LeadsOut { path: shown(link), target: target.display().to_string() }
    }
}

/// A place as people write it.
pub(super) fn shown(place: &[OsString]) -> String {
    place.iter().collect::<PathBuf>().display().to_string()
}

fn names(path: &Path) -> Vec<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn failed(doing: &'static str, path: &Path, errno: Errno) -> TreeFault {
    TreeFault::Io { doing, path: path.to_owned(), source: errno.into() }
}
