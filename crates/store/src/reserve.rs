//! Room on the database's disk that is kept for ending things.
//!
//! A service that fills the disk must not escape being stopped because its end cannot be
//! written. A file beside the database holds some room. When such a write finds none, a portion
//! of it is handed to SQLite's write-ahead log; once there is plenty again, it is made whole.
//!
//! Merely freeing the room does not do: a service that writes without pause has taken it before
//! SQLite gets there. So the log's own blocks are allocated at once, beyond its end, where SQLite
//! will write next, and what was lost in the moment between is made up by the next portion.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// What is handed over at a time. An ending writes about ten pages of 4 KiB, more where the
/// record is large.
const PORTION_BYTES: u64 = 512 * 1024;
/// How much of it is allocated by one call: a call that finds too little gets nothing.
const STEP_BYTES: u64 = 64 * 1024;
/// How much is kept: eight portions, for about ten endings each where nobody else writes.
const RESERVE_BYTES: u64 = 8 * PORTION_BYTES;
/// The least room for which the reserve is allocated: as much again stays free for others, so
/// that it does not take at once what an ending made free.
const ROOM_BYTES: u64 = 2 * RESERVE_BYTES;
/// The file, beside the database.
const FILE_NAME: &str = "reserve";

/// The file, there or to be there.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    /// SQLite's write-ahead log.
    log: PathBuf,
    /// Whether it is to be allocated. False also where the file system cannot.
    wanted: AtomicBool,
    /// Held while the file changes.
    acting: Mutex<()>,
}

impl Reserve {
    /// The reserve beside this database, which exists; allocated if there is room.
    pub(crate) fn beside(database: &Path) -> Self {
        // SQLite puts its log beside the file that a link leads to.
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        let path = database.with_file_name(FILE_NAME);
        let is_whole = path.metadata().is_ok_and(|file| file.blocks() * 512 >= RESERVE_BYTES);
        let wanted = AtomicBool::new(!is_whole);
        let reserve = Self { path, log: log.into(), wanted, acting: Mutex::new(()) };
        reserve.allocate();
        reserve
    }

    /// Whether the file is not whole and should be.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Hands a portion over to the log; false where none is left.
    pub(crate) fn hand_over(&self) -> bool {
        let _acting = self.acting.lock().unwrap_or_else(PoisonError::into_inner);
        match self.try_hand_over() {
            Ok(left) => left,
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "cannot give up the reserve");
                false
            }
        }
    }

    fn try_hand_over(&self) -> io::Result<bool> {
        let file = match OpenOptions::new().write(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let Some(rest) = file.metadata()?.len().checked_sub(PORTION_BYTES) else {
            return Ok(false);
        };
        // Only blocks, no bytes: the length and so the content stay as SQLite left them. SQLite
        // locks its other files, never this one, so opening it here loses no lock.
        let log = OpenOptions::new().write(true).open(&self.log)?;
        let end = log.metadata()?.len();
        self.wanted.store(true, Ordering::Release);
        file.set_len(rest)?;
        let handed = (0..PORTION_BYTES / STEP_BYTES)
            .map(|step| end + step * STEP_BYTES)
            .take_while(|&at| {
                rustix::fs::fallocate(&log, FallocateFlags::KEEP_SIZE, at, STEP_BYTES).is_ok()
            })
            .count();
        tracing::warn!(
            handed_bytes = handed as u64 * STEP_BYTES,
            left_bytes = rest,
            "the disk that holds the database is full: its reserve is used to end things"
        );
        Ok(true)
    }

    /// Makes the file whole where it is not and there is room for it: one system call where
    /// there is none.
    pub(crate) fn allocate(&self) {
        let _acting = self.acting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_wanted() || !self.has_room() {
            return;
        }
        match make(&self.path) {
            Ok(()) => self.wanted.store(false, Ordering::Release),
            Err(error) => {
                let is_full =
                    matches!(Errno::from_io_error(&error), Some(Errno::NOSPC | Errno::DQUOT));
                if !is_full {
                    tracing::warn!(
                        %error, path = %self.path.display(),
                        "no room can be kept for the case that the disk is full"
                    );
                    self.wanted.store(false, Ordering::Release);
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        rustix::fs::statvfs(folder)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM_BYTES)
    }
}

fn make(path: &Path) -> io::Result<()> {
    let file: File =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES).map_err(|errno| {
        // What a failed allocation got is room that others need.
        let _as_before = file.set_len(before);
        errno.into()
    })
}
