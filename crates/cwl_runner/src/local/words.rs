//! What programs print that goes to no file: to our own standard error, or, where somebody listens, to them line by line.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use cwl::service::LogLine;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::news::Listener;

/// Longest line that is held back; what is longer is passed on in parts.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Where a program's words go.
pub(super) struct Words {
    /// Hears every line; without one they go to our own standard error as they are.
    listener: Option<Arc<dyn Listener>>,
    wanted: Option<LogLine>,
    /// Whether a line had what is wanted.
    found: Arc<watch::Sender<bool>>,
    readers: JoinSet<()>,
}

impl Words {
    /// `captures`: lines go to the listener, and not to our standard error. A line that is wanted is looked for.
    pub(super) fn new(
        listener: &Arc<dyn Listener>,
        captures: bool,
        wanted: Option<LogLine>,
    ) -> Self {
        let listener = (captures || wanted.is_some()).then(|| Arc::clone(listener));
        Self {
            listener,
            wanted,
            found: Arc::new(watch::Sender::new(false)),
            readers: JoinSet::new(),
        }
    }

    /// The end that a program writes to.
    pub(super) fn open(&mut self) -> Result<OwnedFd, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let Some(listener) = self.listener.clone() else {
            return rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3).map_err(|error| words(&error));
        };
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| words(&error))?;
        let read = Receiver::from_owned_fd(read).map_err(|error| words(&error))?;
        let (wanted, found) = (self.wanted.clone(), Arc::clone(&self.found));
        self.readers.spawn(async move {
            let mut lines = Lines::new(read);
            while let Some(line) = lines.next().await {
                if wanted.as_ref().is_some_and(|wanted| wanted.is_in(&line)) {
                    found.send_replace(true);
                }
                listener.say(&line);
            }
        });
        Ok(write)
    }

    /// Returns when the wanted line was there.
    pub(super) async fn found(&self) {
        if self.wanted.is_some() {
            // The sender is ours.
            let mut found = self.found.subscribe();
            let _found = found.wait_for(|found| *found).await;
        }
    }

    /// Passes on what is left. Ends with the last one that writes.
    pub(super) async fn finish(mut self) {
        while self.readers.join_next().await.is_some() {}
    }
}

/// Cuts what comes into lines.
struct Lines {
    from: Receiver,
    buffer: Vec<u8>,
    is_over: bool,
}

impl Lines {
    fn new(from: Receiver) -> Self {
        Self { from, buffer: Vec::new(), is_over: false }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            let end = self.buffer.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).trim_end().to_owned());
            }
            let is_full = self.buffer.len() >= LINE_BYTES_MAX;
            if (is_full || self.is_over) && !self.buffer.is_empty() {
                let line = std::mem::take(&mut self.buffer);
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if self.is_over {
                return None;
            }
            self.is_over = matches!(self.from.read_buf(&mut self.buffer).await, Ok(0) | Err(_));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Listener for Heard {
        fn say(&self, words: &str) {
            self.0.lock().unwrap().push(words.to_owned());
        }
    }

    #[tokio::test]
    async fn lines_are_heard_one_by_one_and_a_wanted_one_is_found() {
        let heard = Arc::new(Heard::default());
        let listener: Arc<dyn Listener> = Arc::<Heard>::clone(&heard);
        let mut words = Words::new(&listener, true, None);
        let mut file = std::fs::File::from(words.open().unwrap());
        file.write_all(b"one\ntwo\r\nrest").unwrap();
        drop(file);
        words.finish().await;
        assert_eq!(*heard.0.lock().unwrap(), ["one", "two", "rest"]);
    }
}
