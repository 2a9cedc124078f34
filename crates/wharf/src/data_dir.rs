//! The data directory: made if it is not there, private, and shared by processes that know of each other.

use anyhow::{Context, Result, bail};
use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file of the records, unless they are on a server.
pub(crate) const RECORDS: &str = "wharf.db";
/// How long another process may take to make what is made once.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Between tries for that lock.
const SETUP_POLL: Duration = Duration::from_millis(10);

/// A data directory with all its parts.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// The right to be the one `wharf up` of a data directory, until it is dropped; or inherited, until all have dropped it.
#[derive(Debug)]
pub(crate) struct Seat {
    lock: File,
}

impl From<File> for Seat {
    /// The lock belongs to the open file, whoever holds it.
    fn from(lock: File) -> Self {
        Self { lock }
    }
}

impl AsFd for Seat {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

/// Held while what is made once is looked for, and made.
#[derive(Debug)]
pub(crate) struct Setup {
    _lock: File,
}

/// What every data directory has.
const PARTS: [&str; 8] =
    ["", "images", "containers", "run", "run/tunnels", "run/api", "run/replace", "run/peers"];

impl DataDir {
    /// Makes the directory and its parts where they are missing.
    pub(crate) fn prepare(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("find {}", path.display()))?;
        for part in PARTS {
            let dir = path.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).with_context(|| {
                format!("make {}: choose another place with --data", dir.display())
            })?;
        }
        Ok(Self { path })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it from every other data directory, made where it is missing; the caller holds the setup lock. It goes
    /// with a copy of the directory.
    pub(crate) fn ensure_id(&self) -> Result<String> {
        let path = self.path.join("id");
        match std::fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok().context("the system gives no random bytes")?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // Whole or not at all.
        let part = self.path.join("id.part");
        let written = std::fs::write(&part, &id).and_then(|()| std::fs::rename(&part, &path));
        written.with_context(|| format!("write {}", path.display()))?;
        Ok(id)
    }

    /// Where it is, in words.
    pub(crate) fn about(&self) -> String {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        format!("{} on {host}", self.path.display())
    }

    /// Where each controller has its socket for supervisors.
    pub(crate) fn tunnels(&self) -> PathBuf {
        self.path.join("run/tunnels")
    }

    /// The file of the records.
    pub(crate) fn records(&self) -> PathBuf {
        self.path.join(RECORDS)
    }

    /// Where blocks are.
    pub(crate) fn blocks(&self) -> PathBuf {
        self.path.join("keep")
    }

    /// Where each controller says at which address its API is.
    pub(crate) fn apis(&self) -> PathBuf {
        self.path.join("run/api")
    }

    /// Where controllers ask each other.
    pub(crate) fn peers(&self) -> PathBuf {
        self.path.join("run/peers")
    }

    /// Where processes can be asked for their place.
    pub(crate) fn doors(&self) -> PathBuf {
        self.path.join("run/replace")
    }

    /// Takes the place of the one `wharf up`; several of them on one directory are a mistake, `wharf controller` is for
    /// that.
    pub(crate) fn take_seat(&self) -> Result<Seat> {
        let path = self.path.join("run/controller.lock");
        let lock = open_lock(&path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Seat { lock }),
            Err(Errno::WOULDBLOCK) => bail!(
                "another controller uses {}: stop it, take its place with --replace, or choose another place \
                 with --data (for several over one directory there is `wharf controller`)",
                self.path.display()
            ),
            Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Waits for other processes that are making what is made once.
    pub(crate) async fn begin_setup(&self) -> Result<Setup> {
        let path = self.path.join("run/setup.lock");
        let lock = open_lock(&path)?;
        let begin = Instant::now();
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Setup { _lock: lock }),
                Err(Errno::WOULDBLOCK) if begin.elapsed() < SETUP_TIMEOUT => {
                    tokio::time::sleep(SETUP_POLL).await;
                }
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("lock {}, which another process holds", path.display())
                    });
                }
            }
        }
    }
}

fn open_lock(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_until_the_first_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::prepare(&dir.path().join("data")).unwrap();
        let first = data.take_seat().unwrap();
        let refusal = data.take_seat().unwrap_err().to_string();
        assert!(refusal.contains("another controller uses"), "{refusal}");
        drop(first);
        data.take_seat().unwrap();
    }

    #[tokio::test]
    async fn what_is_made_once_is_made_by_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::prepare(dir.path()).unwrap();
        let first = data.begin_setup().await.unwrap();
        let mut second = std::pin::pin!(data.begin_setup());
        assert!(futures_util::FutureExt::now_or_never(second.as_mut()).is_none());
        drop(first);
        second.await.unwrap();
    }
}
