//! An archive file with several parts: found by name, read from where they lie.

use super::error::ImageError;
use super::tarball::{Leash, Limited};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Most files in an image archive. Docker writes three per layer, OCI layouts one per blob.
const ARCHIVE_ENTRIES_MAX: usize = 65_536;

/// Longest chain of links among the files of an archive (old `docker save` links equal layers).
const LINKS_MAX: usize = 8;

/// An uncompressed tar file, indexed.
#[derive(Debug)]
pub(super) struct Archive {
    file: Arc<File>,
    parts: HashMap<String, Part>,
}

#[derive(Debug)]
enum Part {
    File { offset: u64, size: u64 },
    Link(String),
}

impl Archive {
    /// Reads the headers of the whole file.
    pub(super) fn index(file: File) -> Result<Self, ImageError> {
        let mut parts = HashMap::new();
        let leash = Leash::new();
        let mut tar = tar::Archive::new(Limited::new(&file, &leash));
        let no_archive = |error| leash.explain(error, ImageError::NotAnArchive);
        let entries = tar.entries_with_seek().map_err(no_archive)?;
        leash.tighten();
        for (n, entry) in (1..).zip(entries) {
            let entry = entry.map_err(|error| match n {
                1 => no_archive(error),
                n => leash.explain(error, ImageError::no_tar_entry("the archive", n)),
            })?;
            let name = clean(&String::from_utf8_lossy(&entry.path_bytes()));
            let part = part_of(&entry, &name);
            if parts.len() >= ARCHIVE_ENTRIES_MAX {
                let limit = ARCHIVE_ENTRIES_MAX as u64;
                return Err(ImageError::Limit { limit_name: "ARCHIVE_ENTRIES_MAX", limit });
            }
            parts.extend(part.map(|part| (name, part)));
            leash.tighten();
        }
        drop(tar);
        Ok(Self { file: Arc::new(file), parts })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// Opens a part for reading; its length comes with it.
    pub(super) fn open(&self, name: &str) -> Result<Section, ImageError> {
        let mut wanted = clean(name);
        for _ in 0..LINKS_MAX {
            match self.parts.get(&wanted) {
                Some(Part::File { offset, size }) => {
                    let file = Arc::clone(&self.file);
                    return Ok(Section {
                        file,
                        position: *offset,
                        end: offset.saturating_add(*size),
                    });
                }
                Some(Part::Link(target)) => wanted.clone_from(target),
                None => break,
            }
        }
        Err(ImageError::Broken(format!("`{name}` is not in it")))
    }

    /// Reads a small part whole.
    pub(super) fn read(
        &self,
        name: &str,
        limit_name: &'static str,
        limit: u64,
    ) -> Result<Vec<u8>, ImageError> {
        let section = self.open(name)?;
        if section.len() > limit {
            return Err(ImageError::Limit { limit_name, limit });
        }
        let mut bytes = Vec::new();
        section.take(limit).read_to_end(&mut bytes).map_err(ImageError::Read)?;
        Ok(bytes)
    }
}

fn part_of<R: Read>(entry: &tar::Entry<'_, R>, name: &str) -> Option<Part> {
    let kind = entry.header().entry_type();
    if kind.is_file() {
        return Some(Part::File { offset: entry.raw_file_position(), size: entry.size() });
    }
    let target = entry.link_name_bytes()?;
    let target = String::from_utf8_lossy(&target);
    if kind.is_hard_link() {
        return Some(Part::Link(clean(&target)));
    }
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    kind.is_symlink().then(|| Part::Link(clean(&format!("{folder}/{target}"))))
}

/// A path within the archive without `.`, `..` and empty parts. It names a key of a map, never a
/// file, so `..` beyond the root may simply stop there.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A stretch of the archive file.
#[derive(Debug)]
pub(super) struct Section {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl Section {
    pub(super) fn len(&self) -> u64 {
        self.end - self.position
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.len()).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.file.read_at(&mut buffer[..wanted], self.position)?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short"));
        }
        self.position += n as u64;
        Ok(n)
    }
}
