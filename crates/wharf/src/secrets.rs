//! What a controller keeps secret in its data directory, made at the first start, readable by its owner alone.

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The keys of one controller. `Debug` shows none.
pub(crate) struct Secrets {
    /// Seals the session cookies of service hosts and of the dashboard; 32 bytes.
    pub(crate) session_key: [u8; 32],
    /// Signs permissions to read blocks; 32 bytes.
    pub(crate) blob_signing_key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct SecretsFile {
    session_key: String,
    /// Missing in files of versions that had no blocks.
    #[serde(default)]
    blob_signing_key: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads `secrets.json`, or makes it, or what is missing in it.
    pub(crate) fn load_or_make(path: &Path) -> Result<Self> {
        let known: Option<SecretsFile> = match read_if_there(path)? {
            None => None,
            Some(text) => serde_json::from_str(&text)
                .with_context(|| format!("read {}: not the JSON it should be", path.display()))?,
        };
        let key = |name: &str, text: &str| -> Result<[u8; 32]> {
            let bytes = STANDARD.decode(text).with_context(|| format!("{name} is no base64"))?;
            let wrong = |_other_length| anyhow!("{}: {name} has not 32 bytes", path.display());
            bytes.try_into().map_err(wrong)
        };
        let session_key = known.as_ref().map(|file| key("session_key", &file.session_key));
        let signing_key = known.as_ref().and_then(|file| file.blob_signing_key.as_deref());
        let signing_key = signing_key.map(|text| key("blob_signing_key", text));
        let is_whole = session_key.is_some() && signing_key.is_some();
        let secrets = Self {
            session_key: session_key.unwrap_or_else(random_bytes)?,
            blob_signing_key: signing_key.unwrap_or_else(random_bytes)?,
        };
        if !is_whole {
            let file = SecretsFile {
                session_key: STANDARD.encode(secrets.session_key),
                blob_signing_key: Some(STANDARD.encode(secrets.blob_signing_key)),
            };
            write_private(path, serde_json::to_string_pretty(&file)?.as_bytes())?;
        }
        Ok(secrets)
    }
}

/// Random bytes of the kernel.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_unspecified| anyhow!("the kernel gave no random bytes"))?;
    Ok(bytes)
}

/// The text of a file, or `None` where there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Replaces a file at once and for good, readable by its owner alone.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        // The parent of a bare name is empty, and means this directory.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.json");
        let first = Secrets::load_or_make(&path).unwrap();
        let again = Secrets::load_or_make(&path).unwrap();
        assert_eq!(first.session_key, again.session_key);
        assert_eq!(first.blob_signing_key, again.blob_signing_key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_an_older_version_had_not_is_added_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.json");
        let first = Secrets::load_or_make(&path).unwrap();
        let old = serde_json::json!({ "session_key": STANDARD.encode(first.session_key) });
        fs::write(&path, old.to_string()).unwrap();
        let added = Secrets::load_or_make(&path).unwrap();
        assert_eq!(added.session_key, first.session_key);
        assert_ne!(added.blob_signing_key, first.blob_signing_key);
        assert_eq!(Secrets::load_or_make(&path).unwrap().blob_signing_key, added.blob_signing_key);
    }
}
