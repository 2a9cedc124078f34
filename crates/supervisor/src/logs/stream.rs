//! Copies one output pipe of the app to its log file.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::pipe::PipeFlags;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use crate::logs::frame::Framer;
use crate::logs::journal::{Journal, now};
use crate::logs::{Progress, ProgressReceiver, ProgressSender};

/// One read of the pipe; as much as a pipe holds by default.
const CHUNK_BYTES: usize = 64 << 10;

/// A log file with the pipe that fills it. The app has the other end, [`OutputLog::open`]'s second
/// result; the log ends when every process that holds it is gone.
#[derive(Debug)]
pub(crate) struct OutputLog {
    name: &'static str,
    pipe: pipe::Receiver,
    file: File,
    framer: Framer,
    journal: Journal,
    progress: ProgressSender,
    /// Bytes that the disk would not take since the last that it did.
    lost_bytes: u64,
    has_told: bool,
}

impl OutputLog {
    /// Opens the file for appending and makes the pipe; needs the tokio runtime.
    pub(crate) fn open(
        name: &'static str,
        path: &Path,
        bytes_max: u64,
        journal: Journal,
    ) -> io::Result<(Self, OwnedFd)> {
        let file = File::options().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let log = Self {
            name,
            pipe: pipe::Receiver::from_owned_fd(read)?,
            file,
            framer: Framer::new(bytes, bytes_max),
            journal,
            progress: watch::Sender::new(Progress { bytes, is_closed: false }),
            lost_bytes: 0,
            has_told: false,
        };
        Ok((log, write))
    }

    /// How far the file is.
    pub(crate) fn progress(&self) -> ProgressReceiver {
        self.progress.subscribe()
    }

    /// Copies until the last writer is gone. A full file or disk loses bytes, never stops the app.
    pub(crate) async fn copy(mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match self.pipe.read(&mut chunk).await {
                Ok(0) => break,
                Ok(n) => {
                    let was_truncated = self.framer.is_truncated();
                    let out = self.framer.feed(&chunk[..n], now());
                    self = self.append(out).await;
                    if self.framer.is_truncated() && !was_truncated {
                        let name = self.name;
                        self.journal.say(&format!("{name} is over its limit and not kept further"));
                    }
                }
                Err(error) => {
                    self.journal.say(&format!("cannot read {} of the command: {error}", self.name));
                    break;
                }
            }
        }
        let out = self.framer.finish();
        self = self.append(out).await;
        self.progress.send_modify(|progress| progress.is_closed = true);
    }

    /// Writes on a thread that may wait for the disk, while traffic goes on.
    async fn append(mut self, out: Vec<u8>) -> Self {
        if out.is_empty() {
            return self;
        }
        let name = self.name;
        let write = tokio::task::spawn_blocking(move || {
            self.append_blocking(&out);
            self
        });
        match write.await {
            Ok(log) => log,
            Err(panic) => std::panic::resume_unwind(Box::new(format!("{name}: {panic}"))),
        }
    }

    fn append_blocking(&mut self, out: &[u8]) {
        if self.lost_bytes > 0 {
            let words = format!("… {} bytes of log were lost: the disk was full", self.lost_bytes);
            let notice = self.framer.notice(&words, now());
            if self.write_all(&notice).is_ok() {
                self.lost_bytes = 0;
            }
        }
        if let Err(error) = self.write_all(out) {
            self.lost_bytes += out.len() as u64;
            if !self.has_told {
                self.has_told = true;
                self.journal.say(&format!(
                    "cannot write the log {}: {error}; the command goes on, its output is lost \
                     while this lasts",
                    self.name
                ));
            }
        }
    }

    fn write_all(&mut self, out: &[u8]) -> io::Result<()> {
        self.file.write_all(out)?;
        self.progress.send_modify(|progress| progress.bytes += out.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn copied(path: &Path, journal: &Journal, output: &[u8]) -> Progress {
        let (log, write) = OutputLog::open("stdout", path, 1 << 20, journal.clone()).unwrap();
        let progress = log.progress();
        let output = output.to_vec();
        let writer = std::thread::spawn(move || {
            let mut app = File::from(write);
            app.write_all(&output).unwrap();
        });
        log.copy().await;
        writer.join().unwrap();
        *progress.borrow()
    }

    #[tokio::test]
    async fn what_the_app_writes_is_in_the_file_when_its_pipe_has_closed() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("crunch-run.txt")).unwrap();
        let path = dir.path().join("stdout.txt");
        let progress = copied(&path, &journal, b"hello\nworld").await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().map(|line| &line[31..]).collect::<Vec<_>>(), ["hello", "world"]);
        assert_eq!(progress, Progress { bytes: text.len() as u64, is_closed: true });
    }

    #[tokio::test]
    async fn a_full_disk_does_not_stop_the_app_and_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let words = dir.path().join("crunch-run.txt");
        let journal = Journal::open(&words).unwrap();
        // Far more than a pipe holds: the writer would hang if nobody read.
        copied(Path::new("/dev/full"), &journal, &[b'x'; 1 << 20]).await;
        let told = std::fs::read_to_string(&words).unwrap();
        assert_eq!(told.matches("cannot write the log stdout").count(), 1, "{told}");
    }
}
