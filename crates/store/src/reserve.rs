//! Room on the database's disk that is kept for ending things.
//!
//! A service that fills the disk must not escape being stopped because its end cannot be
//! written. A file beside the database holds some room; it is given up when such a write finds
//! none, and allocated anew once there is plenty again.
//!
//! It is no promise: who writes without pause can take the room in the moment between giving it
//! up and the write. The caller is told that the disk is full then, and may try again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// How much is kept. An ending writes about ten pages of 4 KiB, so this is about a hundred of
/// them; SQLite also lets its write-ahead log grow to 4 MiB before it uses it from the start.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// The least room for which the reserve is allocated: as much again stays free for others, so
/// that it does not take at once what an ending made free.
const ROOM_BYTES: u64 = 2 * RESERVE_BYTES;
/// The file, beside the database.
const FILE_NAME: &str = "reserve";

/// The file, there or to be there.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    /// Whether it is to be allocated. False also where the file system cannot.
    wanted: AtomicBool,
    /// Held while the file is made or removed.
    acting: Mutex<()>,
}

impl Reserve {
    /// The reserve beside this database, allocated if there is room.
    pub(crate) fn beside(database: &Path) -> Self {
        let path = database.with_file_name(FILE_NAME);
        let is_there = path.metadata().is_ok_and(|file| file.blocks() * 512 >= RESERVE_BYTES);
        let reserve = Self { path, wanted: AtomicBool::new(!is_there), acting: Mutex::new(()) };
        if reserve.is_wanted() {
            reserve.allocate();
        }
        reserve
    }

    /// Whether the file is missing and should be there.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Gives the room up.
    pub(crate) fn release(&self) {
        let _acting = self.acting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match std::fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!(
                "the disk that holds the database is full: its reserve is used to end things"
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "cannot give up the reserve");
                return;
            }
        }
        self.wanted.store(true, Ordering::Release);
    }

    /// Makes the file where it is missing and there is room for it: one system call where there
    /// is none.
    pub(crate) fn allocate(&self) {
        let _acting = self.acting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.is_wanted() || !self.has_room() {
            return;
        }
        let Err(error) = make(&self.path) else {
            self.wanted.store(false, Ordering::Release);
            return;
        };
        // What a failed allocation got is room that others need.
        let _removed = std::fs::remove_file(&self.path);
        if !matches!(Errno::from_io_error(&error), Some(Errno::NOSPC | Errno::DQUOT)) {
            tracing::warn!(
                %error, path = %self.path.display(),
                "no room can be kept for the case that the disk is full"
            );
            self.wanted.store(false, Ordering::Release);
        }
    }

    fn has_room(&self) -> bool {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM_BYTES)
    }
}

fn make(path: &Path) -> io::Result<()> {
    let file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)?)
}
