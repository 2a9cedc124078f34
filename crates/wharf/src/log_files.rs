//! The log files that supervisors on this machine write, for the API and the start page.

use api::{ByteStream, LogFile, LogQuery, LogSource, LogStream};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lifecycle::{Backoff, BackoffPolicy};
use model::{ContainerState, ContainerUuid};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::Store;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// Bytes of a file looked at for its last lines; longer tails are cut to it.
const TAIL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Pieces of a log on their way to a reader; a slow one holds the reading back.
const PIECES_MAX: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;
/// The files that an owner sees; the supervisor's own troubles are for the administrator.
const LOG_FILES: [&str; 6] =
    ["container.json", "crunch-run.txt", "crunchstat.txt", "node.json", "stderr.txt", "stdout.txt"];

/// Where the logs are.
#[derive(Debug, Clone)]
pub(crate) struct LogFiles {
    containers: PathBuf,
    store: Store,
}

impl LogFiles {
    /// Logs below the `containers` directory of a data directory.
    pub(crate) fn new(containers: PathBuf, store: Store) -> Self {
        Self { containers, store }
    }

    fn path(&self, container: &ContainerUuid, stream: LogStream) -> PathBuf {
        let name = match stream {
            LogStream::Stdout => "stdout.txt",
            LogStream::Stderr => "stderr.txt",
            LogStream::CrunchRun => "crunch-run.txt",
        };
        self.containers.join(container.as_str()).join("log").join(name)
    }

    /// The last lines of the app's two outputs and the supervisor's words, in order of time.
    pub(crate) async fn last_lines(&self, container: &ContainerUuid, n_lines: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for stream in [LogStream::CrunchRun, LogStream::Stdout, LogStream::Stderr] {
            lines.extend(tail(&self.path(container, stream), n_lines).await.unwrap_or_default());
        }
        // Each line starts with a time of fixed width, so text order is time order.
        lines.sort();
        let surplus = lines.len().saturating_sub(usize::try_from(n_lines).unwrap_or(usize::MAX));
        lines.drain(..surplus);
        lines.into_iter().map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()).collect()
    }

    async fn is_over(&self, container: &ContainerUuid) -> bool {
        let found = self.store.container(*container).await;
        !matches!(found, Ok(Some(found)) if matches!(found.state, ContainerState::Queued | ContainerState::Locked | ContainerState::Running))
    }
}

impl LogSource for LogFiles {
    fn files<'a>(
        &'a self,
        container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Vec<LogFile>, String>> {
        let dir = self.containers.join(container.as_str()).join("log");
        async move {
            let mut files = Vec::new();
            for name in LOG_FILES {
                let Ok(metadata) = tokio::fs::metadata(dir.join(name)).await else { continue };
                let modified_at = metadata.modified().map_err(|error| error.to_string())?;
                let (name, n_bytes) = (name.to_owned(), metadata.len());
                files.push(LogFile { name, n_bytes, modified_at });
            }
            Ok(files)
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        container: &'a ContainerUuid,
        name: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<ByteStream, String>> {
        let path = self.containers.join(container.as_str()).join("log").join(name);
        async move {
            if !LOG_FILES.contains(&name) {
                return Err(format!("there is no log {name:?}"));
            }
            let opened = async {
                let mut file = File::open(&path).await?;
                file.seek(io::SeekFrom::Start(range.start)).await?;
                Ok(file.take(range.end.saturating_sub(range.start)))
            };
            let file = opened.await.map_err(|error: io::Error| error.to_string())?;
            Ok(Box::pin(ReaderStream::with_capacity(file, PIECE_BYTES)) as ByteStream)
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        container: &'a ContainerUuid,
        query: LogQuery,
    ) -> BoxFuture<'a, Result<Option<ByteStream>, String>> {
        async move {
            let path = self.path(container, query.stream);
            if !query.follow && !tokio::fs::try_exists(&path).await.unwrap_or(false) {
                return Ok(None);
            }
            let (pieces, stream) = mpsc::channel(PIECES_MAX);
            let (logs, container) = (self.clone(), *container);
            // Ends with the file, with the container, or as soon as the reader has gone.
            tokio::spawn(async move {
                if let Err(error) = send_file(&logs, &container, &path, &query, &pieces).await {
                    let _reader_gone = pieces.send(Err(error)).await;
                }
            });
            let stream = futures_util::stream::unfold(stream, |mut stream| async move {
                stream.recv().await.map(|piece| (piece, stream))
            });
            Ok(Some(Box::pin(stream) as ByteStream))
        }
        .boxed()
    }
}

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Sends a log from its tail on; with `follow` until the container is over and the file is read to its end.
async fn send_file(
    logs: &LogFiles,
    container: &ContainerUuid,
    path: &Path,
    query: &LogQuery,
    pieces: &Pieces,
) -> io::Result<()> {
    let Some(mut file) = wait_for_file(logs, container, path, query.follow, pieces).await? else {
        return Ok(());
    };
    if let Some(n_lines) = query.tail_lines {
        let lines = tail(path, n_lines).await?;
        let bytes = lines.iter().map(|line| line.len() as u64).sum::<u64>();
        let end = file.metadata().await?.len();
        file.seek(io::SeekFrom::Start(end.saturating_sub(bytes))).await?;
    }
    let mut backoff = look_again();
    let mut was_over = false;
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let n_read = file.read(&mut piece).await?;
        if n_read > 0 {
            piece.truncate(n_read);
            if pieces.send(Ok(piece.into())).await.is_err() {
                return Ok(());
            }
            backoff.reset();
            was_over = false;
        } else if !query.follow || was_over {
            return Ok(());
        } else if logs.is_over(container).await {
            // One more look: the last lines may have come between the read and the question.
            was_over = true;
        } else {
            tokio::select! {
                () = tokio::time::sleep(backoff.next_wait()) => {}
                () = pieces.closed() => return Ok(()),
            }
        }
    }
}

async fn wait_for_file(
    logs: &LogFiles,
    container: &ContainerUuid,
    path: &Path,
    follow: bool,
    pieces: &Pieces,
) -> io::Result<Option<File>> {
    let mut backoff = look_again();
    loop {
        match File::open(path).await {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if !follow || logs.is_over(container).await {
            return Ok(None);
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = pieces.closed() => return Ok(None),
        }
    }
}

/// How often a followed file is looked at: at once after news, up to three times a second in a lull.
fn look_again() -> Backoff {
    Backoff::new(BackoffPolicy {
        first: Duration::from_millis(20),
        max: Duration::from_millis(300),
    })
}

/// The last lines of a file, each with its line end.
async fn tail(path: &Path, n_lines: u64) -> io::Result<VecDeque<Vec<u8>>> {
    let mut file = File::open(path).await?;
    let end = file.metadata().await?.len();
    let start = end.saturating_sub(TAIL_BYTES_MAX);
    file.seek(io::SeekFrom::Start(start)).await?;
    let mut reader = BufReader::new(file.take(end - start));
    let mut lines = VecDeque::new();
    if start > 0 {
        let mut cut_line = Vec::new();
        reader.read_until(b'\n', &mut cut_line).await?;
    }
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(lines);
        }
        lines.push_back(line);
        if lines.len() as u64 > n_lines {
            lines.pop_front();
        }
    }
}
