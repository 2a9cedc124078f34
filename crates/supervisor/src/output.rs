//! What a container made, as a manifest: its output directory, what was shown in it, and its logs.
//!
//! Walked once its last process is gone, so that nothing changes under us; links are never followed by the host's
//! rules, only by what they mean inside the container. Start at [`save`]; [`packer`] writes the blocks.

use std::collections::BTreeMap;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use keep::{Keep, KeepError};
use manifest::{Node, Tree, TreeError};
use model::Glob;

use crate::inputs::OutputPlan;
use crate::output::packer::Packer;

mod links;
mod packer;

/// Entries of one output; more than anybody lists, and some hundred MB of manifest.
const ENTRIES_MAX: usize = 5_000_000;
/// One read of a file.
const PIECE_BYTES: usize = 1 << 20;

/// Why an output was not saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The block store.
    #[error("the output could not be saved: {0}")]
    Blocks(#[from] KeepError),
    /// The directory.
    #[error("the output could not be saved: cannot read {path:?}: {source}")]
    Read {
        /// On the host.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name that no manifest can hold.
    #[error("the output could not be saved: {0}")]
    Tree(#[from] TreeError),
    /// A pattern of `output_glob`.
    #[error("the output could not be saved: output_glob {0:?} {1}")]
    Glob(String, String),
    /// Too much.
    #[error("the output could not be saved: it has more than {ENTRIES_MAX} entries")]
    Entries,
}

/// A saved output.
#[derive(Debug)]
pub(crate) struct Saved {
    /// Its manifest, without signatures.
    pub(crate) manifest: String,
    /// What was left out, in words for the owner.
    pub(crate) notes: Vec<String>,
}

/// Writes a container's output into blocks.
pub(crate) async fn save(
    keep: &Keep,
    plan: &OutputPlan,
    globs: &[String],
) -> Result<Saved, OutputError> {
    let globs = globs
        .iter()
        .map(|glob| Glob::parse(glob).map_err(|words| OutputError::Glob(glob.clone(), words)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk { plan, globs, found: BTreeMap::new(), notes: Vec::new(), n_entries: 0 };
    walk.directory(&plan.dir, "")?;
    let Walk { found, notes, .. } = walk;
    let manifest = pack(keep, found).await?;
    Ok(Saved { manifest, notes })
}

/// Writes the files of a directory, and none below it, into blocks: the logs.
pub(crate) async fn save_files(
    keep: &Keep,
    dir: &Path,
    names: &[&str],
) -> Result<String, OutputError> {
    let found = names
        .iter()
        .map(|name| (dir.join(name), *name))
        .filter(|(path, _)| path.is_file())
        .map(|(path, name)| (name.to_owned(), Entry::File(path)))
        .collect();
    pack(keep, found).await
}

/// What belongs at a path of the output.
#[derive(Debug)]
enum Entry {
    /// A file of the host.
    File(PathBuf),
    /// A directory without anything in it.
    EmptyDirectory,
    /// Content that has its blocks already.
    Shown(Node),
}

struct Walk<'p> {
    plan: &'p OutputPlan,
    globs: Vec<Glob>,
    found: BTreeMap<String, Entry>,
    notes: Vec<String>,
    n_entries: usize,
}

impl Walk<'_> {
    /// Everything in a directory; `at` is its path in the output, `""` for the top.
    fn directory(&mut self, dir: &Path, at: &str) -> Result<(), OutputError> {
        let mut waiting = vec![(dir.to_owned(), at.to_owned())];
        while let Some((dir, at)) = waiting.pop() {
            let mut n_inside = 0;
            for entry in read_dir(&dir)? {
                let entry = entry.map_err(unreadable(&dir))?;
                n_inside += 1;
                self.count()?;
                let Ok(name) = entry.file_name().into_string() else {
                    self.notes
                        .push(format!("left out of the output: {:?} is no UTF-8", entry.path()));
                    continue;
                };
                let path = if at.is_empty() { name } else { format!("{at}/{name}") };
                if let Some(covered) = self.plan.covered.get(&path) {
                    self.shown(&path, covered.clone());
                    continue;
                }
                let kind = entry.file_type().map_err(unreadable(&dir))?;
                if kind.is_dir() {
                    waiting.push((entry.path(), path));
                } else {
                    self.entry(&entry.path(), path, kind)?;
                }
            }
            if n_inside == 0 && !at.is_empty() && self.is_wanted(&at) {
                self.found.insert(at, Entry::EmptyDirectory);
            }
        }
        Ok(())
    }

    fn entry(&mut self, host: &Path, path: String, kind: FileType) -> Result<(), OutputError> {
        if kind.is_file() {
            if self.is_wanted(&path) {
                self.found.insert(path, Entry::File(host.to_owned()));
            }
        } else if kind.is_symlink() {
            self.link(host, path)?;
        } else {
            let what = if kind.is_fifo() {
                "a pipe"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a device"
            };
            self.notes.push(format!("left out of the output: {path} is {what}"));
        }
        Ok(())
    }

    /// What a link means inside the container.
    fn link(&mut self, host: &Path, path: String) -> Result<(), OutputError> {
        match links::resolve(self.plan, &path, host) {
            links::Meaning::File(file) => {
                if self.is_wanted(&path) {
                    self.found.insert(path, Entry::File(file));
                }
                Ok(())
            }
            links::Meaning::Directory(dir) => self.directory(&dir, &path),
            links::Meaning::Shown(node) => {
                self.shown(&path, Some(node));
                Ok(())
            }
            links::Meaning::Nothing(words) => {
                self.notes.push(format!("left out of the output: the link {path} {words}"));
                Ok(())
            }
        }
    }

    /// Part of a collection, or nothing where the output leaves it out.
    fn shown(&mut self, path: &str, node: Option<Node>) {
        let Some(node) = node else { return };
        if self.globs.is_empty() {
            self.found.insert(path.to_owned(), Entry::Shown(node));
            return;
        }
        let mut waiting = vec![(path.to_owned(), node)];
        while let Some((path, node)) = waiting.pop() {
            if node.is_directory() {
                let below =
                    node.entries().map(|(name, node)| (format!("{path}/{name}"), node.clone()));
                waiting.extend(below);
            } else if self.is_wanted(&path) {
                self.found.insert(path, Entry::Shown(node));
            }
        }
    }

    fn is_wanted(&self, path: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(path))
    }

    /// Also bounds a directory that links show again and again.
    fn count(&mut self) -> Result<(), OutputError> {
        self.n_entries += 1;
        if self.n_entries > ENTRIES_MAX { Err(OutputError::Entries) } else { Ok(()) }
    }
}

async fn pack(keep: &Keep, found: BTreeMap<String, Entry>) -> Result<String, OutputError> {
    let mut packer = Packer::new(keep.clone());
    let mut tree = Tree::new();
    for (path, entry) in found {
        match entry {
            Entry::EmptyDirectory => tree.make_directory(&path)?,
            Entry::Shown(node) => tree.put(&path, node)?,
            Entry::File(host) => {
                let mut file = open(&host)?;
                packer.begin_file(&path);
                let mut piece = vec![0; PIECE_BYTES];
                loop {
                    let n = file.read(&mut piece).map_err(unreadable(&host))?;
                    if n == 0 {
                        break;
                    }
                    packer.write(&piece[..n]).await?;
                }
            }
        }
    }
    for (path, segments) in packer.finish().await? {
        tree.put(&path, Node::File(segments))?;
    }
    Ok(tree.text())
}

/// A regular file, and nothing that a link or a pipe could make of it; also one that its owner may not read.
fn open(path: &Path) -> Result<File, OutputError> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let open = || File::options().read(true).custom_flags(flags).open(path);
    let opened = open().or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).and_then(|()| open())
        }
        _ => Err(error),
    });
    let file = opened.map_err(unreadable(path))?;
    let is_file = file.metadata().is_ok_and(|metadata: Metadata| metadata.is_file());
    if is_file { Ok(file) } else { Err(unreadable(path)(io::ErrorKind::InvalidInput.into())) }
}

/// Also of a directory that its owner may not read.
fn read_dir(path: &Path) -> Result<fs::ReadDir, OutputError> {
    fs::read_dir(path)
        .or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                    .and_then(|()| fs::read_dir(path))
            }
            _ => Err(error),
        })
        .map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    move |source| OutputError::Read { path, source }
}

#[cfg(test)]
mod tests;
