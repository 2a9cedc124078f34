//! The data directory: made if it is not there, private, and held by one controller at a time.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A data directory that this process holds until it drops it.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory and its parts, and locks it.
    pub(crate) fn hold(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("find {}", path.display()))?;
        for part in ["", "images", "containers", "run"] {
            let dir = path.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).with_context(|| {
                format!("make {}: choose another place with --data", dir.display())
            })?;
        }
        let lock_path = path.join("run/controller.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .with_context(|| format!("open {}", lock_path.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(Errno::WOULDBLOCK) => bail!(
                "another controller uses {}: stop it, or choose another place with --data",
                path.display()
            ),
            Err(error) => Err(error).with_context(|| format!("lock {}", lock_path.display())),
        }
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_controller_is_refused_until_the_first_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataDir::hold(&path).unwrap();
        let refusal = DataDir::hold(&path).unwrap_err().to_string();
        assert!(refusal.contains("another controller uses"), "{refusal}");
        drop(first);
        DataDir::hold(&path).unwrap();
    }
}
