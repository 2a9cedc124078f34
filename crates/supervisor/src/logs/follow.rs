//! Serves a log file from an offset, and what is appended to it later.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};

use crate::logs::ProgressReceiver;

/// One read of the file.
const CHUNK_BYTES: usize = 32 << 10;

/// Writes the log's bytes from `offset` on; with `progress`, goes on until the log is closed.
///
/// Ends early if the reader goes away. An offset past the end begins at the end.
pub(crate) async fn serve(
    path: &Path,
    offset: u64,
    mut progress: Option<ProgressReceiver>,
    to: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut file = File::open(path).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(offset.min(length))).await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        // Closed before this read: everything was in the file, so the read finds all of it.
        let was_closed = progress.as_mut().is_none_or(|it| it.borrow_and_update().is_closed);
        loop {
            let n = file.read(&mut chunk).await?;
            if n == 0 {
                break;
            }
            to.write_all(&chunk[..n]).await?;
        }
        to.flush().await?;
        let Some(progress) = progress.as_mut().filter(|_| !was_closed) else { break };
        if !wait(progress, to).await? {
            break;
        }
    }
    to.shutdown().await
}

/// False if there is nothing to wait for any more.
async fn wait(
    progress: &mut ProgressReceiver,
    reader: &mut (impl AsyncRead + Unpin),
) -> std::io::Result<bool> {
    let mut byte = [0; 1];
    tokio::select! {
        changed = progress.changed() => Ok(changed.is_ok()),
        // The reader has nothing to say: its end or its fault is all that can come.
        read = reader.read(&mut byte) => read.map(|_| false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Progress;
    use tokio::sync::watch;

    #[tokio::test]
    async fn a_follower_gets_what_is_appended_until_the_log_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.txt");
        std::fs::write(&path, "0123456789").unwrap();
        let sender = watch::Sender::new(Progress { bytes: 10, is_closed: false });
        let (mut near, mut far) = tokio::io::duplex(1024);
        let receiver = sender.subscribe();
        let from = path.clone();
        let served = tokio::spawn(async move { serve(&from, 4, Some(receiver), &mut far).await });
        let mut got = [0; 6];
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"456789");
        std::fs::write(&path, "0123456789abc").unwrap();
        sender.send_replace(Progress { bytes: 13, is_closed: true });
        let mut rest = String::new();
        near.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "abc");
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_follower_that_leaves_ends_the_serving() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.txt");
        std::fs::write(&path, "").unwrap();
        let sender = watch::Sender::new(Progress::default());
        let (near, mut far) = tokio::io::duplex(16);
        drop(near);
        serve(&path, 0, Some(sender.subscribe()), &mut far).await.unwrap();
    }
}
