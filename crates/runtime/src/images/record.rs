//! The store's own files: one record per image, and the names.

use super::error::ImageError;
use model::{ImageConfig, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// What is kept about one image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// `sha256:` and the digest of the image's configuration.
    pub(super) id: String,
    pub(super) config: ImageConfig,
    /// Hexadecimal diff_ids, bottom first, as in the configuration.
    pub(super) layers: Vec<String>,
    /// Bytes of all layers, unpacked.
    pub(super) size_bytes: u64,
    pub(super) created: Option<Timestamp>,
}

/// Names and the ids they stand for.
pub(super) type Refs = BTreeMap<String, String>;

/// Reads a JSON file of the store; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImageError::store("read", path, error)),
    };
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| ImageError::store("understand", path, io::Error::other(error)))?;
    Ok(Some(value))
}

/// Replaces a JSON file of the store: after a crash it holds the old or the new, whole.
pub(super) fn write<T: Serialize>(
    path: &Path,
    tmp_dir: &Path,
    value: &T,
) -> Result<(), ImageError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let tmp = tmp_dir.join(format!("{name}.{}", super::store::random_hex()));
    let replace = || -> io::Result<()> {
        let mut file = fs::File::create_new(&tmp)?;
        file.write_all(&serde_json::to_vec_pretty(value).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&tmp, path)?;
        sync_dir(path.parent().unwrap_or(path))
    };
    replace().map_err(|error| {
        // It may never have been made, or be renamed already.
        let _absent = fs::remove_file(&tmp);
        ImageError::store("write", path, error)
    })
}

/// Makes renames in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
