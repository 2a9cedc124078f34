//! The supervisor's own words to the owner of the container: `log/crunch-run.txt`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use model::Timestamp;
use tokio::sync::watch;

use crate::logs::{Progress, ProgressReceiver, ProgressSender};

/// Our words are few; a repeating fault must not fill the disk.
const JOURNAL_BYTES_MAX: u64 = 1 << 20;

/// Words that a full disk would not take, kept until it does.
const PENDING_BYTES_MAX: usize = 16 << 10;

/// Clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Mutex<Pending>,
    progress: ProgressSender,
}

#[derive(Debug)]
struct Pending {
    file: File,
    unwritten: Vec<u8>,
    written: u64,
}

impl Journal {
    /// Appends to this file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        let progress = watch::Sender::new(Progress { bytes, is_closed: false });
        let file = Mutex::new(Pending { file, unwritten: Vec::new(), written: bytes });
        Ok(Self(Arc::new(Inner { file, progress })))
    }

    /// Writes one line; if the disk is full it is tried again with the next.
    ///
    /// Blocks for one small write: these lines come a few per container.
    pub(crate) fn say(&self, words: &str) {
        let line = format!("{} {}\n", now(), words.replace('\n', " "));
        let mut pending = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.unwritten.len() + line.len() <= PENDING_BYTES_MAX
            && pending.written < JOURNAL_BYTES_MAX
        {
            pending.unwritten.extend_from_slice(line.as_bytes());
        }
        pending.flush();
        let bytes = pending.written;
        drop(pending);
        self.0.progress.send_modify(|progress| progress.bytes = bytes);
    }

    /// No more words will come; readers that follow may leave.
    pub(crate) fn close(&self) {
        self.0.progress.send_modify(|progress| progress.is_closed = true);
    }

    /// How far the file is.
    pub(crate) fn progress(&self) -> ProgressReceiver {
        self.0.progress.subscribe()
    }
}

impl Pending {
    /// Writes what it can; what is left is tried with the next line.
    fn flush(&mut self) {
        while !self.unwritten.is_empty() {
            match self.file.write(&self.unwritten) {
                Ok(n) if n > 0 => {
                    self.unwritten.drain(..n);
                    self.written += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// The time as the records write it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_timestamped_lines_and_move_the_progress() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crunch-run.txt");
        let journal = Journal::open(&path).unwrap();
        let progress = journal.progress();
        journal.say("container started");
        journal.say("two\nlines become one");
        let text = std::fs::read_to_string(&path).unwrap();
        let words: Vec<&str> = text.lines().map(|line| &line[31..]).collect();
        assert_eq!(words, ["container started", "two lines become one"]);
        assert_eq!(progress.borrow().bytes, text.len() as u64);
    }

    #[test]
    fn a_full_disk_keeps_words_for_later_and_blocks_nobody() {
        let journal = Journal::open(Path::new("/dev/full")).unwrap();
        for _ in 0..10_000 {
            journal.say("the same words again");
        }
        let pending = journal.0.file.lock().unwrap();
        assert!(!pending.unwritten.is_empty() && pending.unwritten.len() <= PENDING_BYTES_MAX);
    }
}
