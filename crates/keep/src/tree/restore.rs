//! A manifest becomes a directory.

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use manifest::{Manifest, Node, Segment, Tree};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::reader::Reader;
use super::{TreeFault, blocking};
use crate::site::Keep;

/// Mode of files made; the umask takes away from it.
const FILE_MODE: u32 = 0o644;
/// Mode of directories made.
const DIRECTORY_MODE: u32 = 0o755;

/// Writes what is at `path` in a manifest (`""` is all of it) to `target`: a file becomes a file
/// there, whose directory must exist, and a directory's content comes into the directory `target`,
/// which is made where it is missing. Nothing that is there already is overwritten.
///
/// # Errors
/// [`TreeFault::NoSuchPath`], those of reading blocks, or when the disk fails. What was written until
/// then stays.
pub async fn restore(
    keep: &Keep,
    manifest: &Manifest,
    path: &str,
    target: &Path,
) -> Result<(), TreeFault> {
    let tree = Tree::of(manifest)?;
    let path = path.trim_matches('/');
    let node = tree.get(path).ok_or_else(|| TreeFault::NoSuchPath(path.to_owned()))?;
    let mut reader = Reader::new(keep.clone());
    match node {
        Node::File(segments) => {
            let shown = target.to_owned();
            let file = blocking(move || create(&shown)).await?;
            fill(&mut reader, file, segments, target).await
        }
        Node::Directory(_) => {
            let shown = target.to_owned();
            let root = Arc::new(blocking(move || open_or_make(&shown)).await?);
            restore_directory(&mut reader, root, node, target).await
        }
    }
}

/// A directory that is still to be made.
struct Todo<'n> {
    parent: Arc<OwnedFd>,
    name: String,
    node: &'n Node,
    shown: PathBuf,
}

async fn restore_directory(
    reader: &mut Reader,
    root: Arc<OwnedFd>,
    node: &Node,
    target: &Path,
) -> Result<(), TreeFault> {
    // Not recursive: how deep a manifest is, is for its author to say. A directory is opened when its
    // turn comes, so that only those above it are open.
    let mut todo = Vec::new();
    restore_entries(reader, &root, node, target, &mut todo).await?;
    while let Some(Todo { parent, name, node, shown }) = todo.pop() {
        let place = shown.clone();
        let directory = Arc::new(blocking(move || make_in(&parent, &name, &place)).await?);
        restore_entries(reader, &directory, node, &shown, &mut todo).await?;
    }
    Ok(())
}

async fn restore_entries<'n>(
    reader: &mut Reader,
    directory: &Arc<OwnedFd>,
    node: &'n Node,
    shown: &Path,
    todo: &mut Vec<Todo<'n>>,
) -> Result<(), TreeFault> {
    for (name, node) in node.entries() {
        let (parent, name, shown) = (Arc::clone(directory), name.to_owned(), shown.join(name));
        if let Node::File(segments) = node {
            let place = shown.clone();
            let file = blocking(move || create_in(&parent, &name, &place)).await?;
            fill(reader, file, segments, &shown).await?;
        } else {
            todo.push(Todo { parent, name, node, shown });
        }
    }
    Ok(())
}

async fn fill(
    reader: &mut Reader,
    file: File,
    segments: &[Segment],
    shown: &Path,
) -> Result<(), TreeFault> {
    let file = Arc::new(file);
    for segment in segments {
        let mut from = 0;
        while from < segment.len {
            let piece = reader.piece(segment, from).await?;
            from += piece.len() as u64;
            let (file, path) = (Arc::clone(&file), shown.to_owned());
            blocking(move || {
                let written = (&*file).write_all(&piece);
                written.map_err(|source| TreeFault::Io { doing: "write", path, source })
            })
            .await?;
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, TreeFault> {
    // A new file, so never one that a link leads to.
    let made = File::options().write(true).create_new(true).mode(FILE_MODE).open(path);
    made.map_err(|source| TreeFault::Io { doing: "make", path: path.to_owned(), source })
}

fn open_or_make(path: &Path) -> Result<OwnedFd, TreeFault> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(TreeFault::Io { doing: "make", path: path.to_owned(), source });
        }
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|errno| failed("open", path, errno))
}

fn create_in(parent: &OwnedFd, name: &str, shown: &Path) -> Result<File, TreeFault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent.as_fd(), name, flags, Mode::from_raw_mode(FILE_MODE));
    made.map(File::from).map_err(|errno| failed("make", shown, errno))
}

fn make_in(parent: &OwnedFd, name: &str, shown: &Path) -> Result<OwnedFd, TreeFault> {
    match mkdirat(parent.as_fd(), name, Mode::from_raw_mode(DIRECTORY_MODE)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed("make", shown, errno)),
    }
    // Never through a link that somebody put there.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent.as_fd(), name, flags, Mode::empty()).map_err(|errno| failed("open", shown, errno))
}

fn failed(doing: &'static str, path: &Path, errno: Errno) -> TreeFault {
    TreeFault::Io { doing, path: path.to_owned(), source: errno.into() }
}
