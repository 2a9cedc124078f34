//! Files of this machine as documents and locations.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cwl::load::Source;
use cwl::storage::{Entry, Stat, Storage};
use cwl::uri;
use ring::digest;

use crate::job::Files;
use crate::local::copy;

/// Documents and files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk;

impl Source for Disk {
    fn read(&self, address: &str, bytes_max: usize) -> Result<String, String> {
        let path = path_of(address)?;
        let kind = fs::metadata(&path).map_err(|error| words(&error))?;
        if !kind.is_file() {
            return Err("it is no file".to_owned());
        }
        let bytes = read_beginning(&path, bytes_max + 1)?;
        if bytes.len() > bytes_max {
            return Err(format!("it is larger than {} MiB", bytes_max >> 20));
        }
        String::from_utf8(bytes).map_err(|_not_text| "it is not UTF-8".to_owned())
    }
}

impl Storage for Disk {
    fn stat(&self, location: &str) -> Result<Stat, String> {
        let path = path_of(location)?;
        let found = fs::metadata(&path).map_err(|error| at(&path, &error))?;
        if !found.is_dir() && !found.is_file() {
            // A pipe would be waited for, a device has no end.
            return Err(format!("{} is neither a file nor a folder", path.display()));
        }
        let size = if found.is_dir() { 0 } else { found.len() };
        Ok(Stat { is_dir: found.is_dir(), size })
    }

    fn list(&self, location: &str) -> Result<Vec<Entry>, String> {
        let path = path_of(location)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).map_err(|error| at(&path, &error))? {
            let entry = entry.map_err(|error| at(&path, &error))?;
            let is_dir = fs::metadata(entry.path()).is_ok_and(|found| found.is_dir());
            entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, location: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        read_beginning(&path_of(location)?, bytes_max)
    }

    fn resolve(&self, location: &str) -> Result<String, String> {
        Ok(location.to_owned())
    }

    fn checksum(&self, location: &str) -> Result<Option<String>, String> {
        let path = path_of(location)?;
        let mut file = open(&path)?;
        let mut checksum = Checksum::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = file.read(&mut buffer).map_err(|error| at(&path, &error))?;
            if length == 0 {
                break;
            }
            checksum.add(&buffer[..length]);
        }
        Ok(Some(checksum.words()))
    }
}

/// The checksum of a file that is read piece by piece.
pub(crate) struct Checksum(digest::Context);

impl Default for Checksum {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
    }
}

impl Checksum {
    /// The next bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As File objects have it: `sha1$` and 40 digits.
    pub(crate) fn words(self) -> String {
        let digits = self.0.finish();
        let hex: Vec<String> = digits.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha1${}", hex.concat())
    }
}

impl Files for Disk {
    fn copy_out(&self, location: &str, target: &Path) -> Result<(), String> {
        let source = path_of(location)?;
        let source = fs::canonicalize(&source).map_err(|error| at(&source, &error))?;
        copy(&source, target)
    }

    /// They are made anyway.
    fn make_checksums(&self) {}
}

/// The path of a location of this machine.
pub(crate) fn path_of(location: &str) -> Result<PathBuf, String> {
    uri::to_path(location).ok_or_else(|| {
        format!("{location} is not a file of this machine; download it and give its path")
    })
}

/// Opens a file; never waits for one who writes to a pipe.
fn open(path: &Path) -> Result<fs::File, String> {
    let found = fs::metadata(path).map_err(|error| at(path, &error))?;
    if !found.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    fs::File::open(path).map_err(|error| at(path, &error))
}

fn read_beginning(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(|error| at(path, &error))?;
    Ok(bytes)
}

/// An error with its path.
pub(crate) fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {}", path.display(), words(error))
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => error.to_string(),
    }
}
