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
}

#[derive(Serialize, Deserialize)]
struct SecretsFile {
    session_key: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads `secrets.json`, or makes it.
    pub(crate) fn load_or_make(path: &Path) -> Result<Self> {
        if let Some(text) = read_if_there(path)? {
            let file: SecretsFile = serde_json::from_str(&text)
                .with_context(|| format!("read {}: not the JSON it should be", path.display()))?;
            let bytes = STANDARD.decode(file.session_key).context("session_key is no base64")?;
            let session_key = bytes.try_into().map_err(|_other_length| {
                anyhow!("{}: session_key has not 32 bytes", path.display())
            })?;
            return Ok(Self { session_key });
        }
        let session_key = random_bytes()?;
        let file = SecretsFile { session_key: STANDARD.encode(session_key) };
        write_private(path, serde_json::to_string_pretty(&file)?.as_bytes())?;
        Ok(Self { session_key })
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
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
