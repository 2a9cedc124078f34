//! What the API needs of whoever has the logs, and all streams of a container as one.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::future::BoxFuture;
use model::ContainerUuid;

use crate::images::ByteStream;

/// Longest line kept together when streams are merged; a longer one is passed on in pieces.
const LINE_BYTES_MAX: usize = 1 << 20;

/// One of a container's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// What the program wrote to its standard output.
    Stdout,
    /// What it wrote to its standard error.
    Stderr,
    /// The supervisor's own words.
    CrunchRun,
}

impl LogStream {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CrunchRun, Self::Stdout, Self::Stderr];

    /// The word in parameters and before lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::CrunchRun => "crunch-run",
        }
    }
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Which log.
    pub stream: LogStream,
    /// Go on until the container ends.
    pub follow: bool,
    /// Only the last lines of what is there already.
    pub tail_lines: Option<u64>,
}

/// One file of a container's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its name, such as `stdout.txt`.
    pub name: String,
    /// Its length now; it may grow.
    pub n_bytes: u64,
    /// When it last changed.
    pub modified_at: SystemTime,
}

/// Whoever has the logs.
pub trait LogSource: Send + Sync {
    /// The files that there are, by name; none of a container that did not start. Errors are words for people.
    fn files<'a>(
        &'a self,
        container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Vec<LogFile>, String>>;

    /// Bytes of one of these files, within its length.
    fn read<'a>(
        &'a self,
        container: &'a ContainerUuid,
        name: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<ByteStream, String>>;

    /// The bytes of a log, lines with an RFC 3339 time before each; none where there is no log.
    fn open<'a>(
        &'a self,
        container: &'a ContainerUuid,
        query: LogQuery,
    ) -> BoxFuture<'a, Result<Option<ByteStream>, String>>;
}

/// Lines of several logs in order of their times, each with its log's name before it.
///
/// Lines that are there are put in order; when following, a line is not held back for a log that
/// is silent.
pub(crate) struct Merged {
    sources: Vec<Source>,
    follow: bool,
}

struct Source {
    name: &'static str,
    bytes: ByteStream,
    partial: BytesMut,
    lines: VecDeque<Bytes>,
    ended: bool,
}

impl Merged {
    pub(crate) fn new(sources: Vec<(LogStream, ByteStream)>, follow: bool) -> Self {
        let sources = sources
            .into_iter()
            .map(|(stream, bytes)| Source {
                name: stream.as_str(),
                bytes,
                partial: BytesMut::new(),
                lines: VecDeque::new(),
                ended: false,
            })
            .collect();
        Self { sources, follow }
    }
}

impl Source {
    /// Reads until there is a line, the end, or nothing for now.
    fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.lines.is_empty() && !self.ended {
            match self.bytes.as_mut().poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(bytes))) => self.take(&bytes),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => {
                    self.ended = true;
                    if !self.partial.is_empty() {
                        self.lines.push_back(self.partial.split().freeze());
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let mut line = self.partial.split();
                line.truncate(line.len() - 1);
                self.lines.push_back(line.freeze());
            } else if self.partial.len() >= LINE_BYTES_MAX {
                self.lines.push_back(self.partial.split().freeze());
            }
        }
    }
}

impl Stream for Merged {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let mut waiting = false;
        for source in &mut self.sources {
            match source.poll_line(context) {
                Poll::Pending => waiting = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Ok(())) => {}
            }
        }
        if waiting && !self.follow {
            return Poll::Pending;
        }
        // Each line starts with a time of fixed width: text order is time order.
        let earliest = self
            .sources
            .iter_mut()
            .filter(|source| !source.lines.is_empty())
            .min_by(|a, b| a.lines.front().cmp(&b.lines.front()));
        match earliest {
            Some(source) => {
                let line = source.lines.pop_front().unwrap_or_default();
                let mut out = BytesMut::with_capacity(source.name.len() + line.len() + 2);
                out.extend_from_slice(source.name.as_bytes());
                out.extend_from_slice(b" ");
                out.extend_from_slice(&line);
                out.extend_from_slice(b"\n");
                Poll::Ready(Some(Ok(out.freeze())))
            }
            None if waiting => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
