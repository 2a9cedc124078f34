//! Archives of images in the block store.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use keep::{Keep, KeepError};
use manifest::{BLOCK_BYTES_MAX, Manifest, Node, Segment, Tree};
use std::fs::File;
use std::io::{self, Read as _};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

/// One read of an archive.
const PIECE_BYTES: usize = 1 << 20;

/// Writes an archive into blocks; the manifest of a collection that holds it as `<image id>.tar`.
pub(super) async fn store(keep: &Keep, archive: File, image_id: &str) -> Result<String, String> {
    let failed = |error: KeepError| super::chain(&error);
    let mut archive = Some(archive);
    let mut segments = Vec::new();
    let mut is_whole = false;
    while !is_whole {
        let mut upload = keep.begin(None).await.map_err(failed)?;
        while upload.n_bytes() < BLOCK_BYTES_MAX && !is_whole {
            let Some(mut file) = archive.take() else {
                return Err("the archive is gone".to_owned());
            };
            let room = BLOCK_BYTES_MAX - upload.n_bytes();
            let wanted = usize::try_from(room).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; wanted];
                let n = file.read(&mut piece)?;
                piece.truncate(n);
                io::Result::Ok((file, piece))
            });
            let read = read.await.map_err(|error| error.to_string())?;
            let (file, piece) =
                read.map_err(|error| format!("cannot read the archive: {error}"))?;
            archive = Some(file);
            is_whole = piece.is_empty();
            upload.write(&piece).await.map_err(failed)?;
        }
        let len = upload.n_bytes();
        if len > 0 {
            let locator = upload.finish(None).await.map_err(failed)?;
            segments.push(Segment { locator, offset: 0, len });
        }
    }
    let mut tree = Tree::new();
    tree.put(&format!("{image_id}.tar"), Node::File(segments))
        .map_err(|error| error.to_string())?;
    Ok(tree.text())
}

/// The bytes of the one file that a collection holds.
pub(super) fn open(
    keep: Keep,
    manifest: &str,
) -> Result<impl AsyncRead + Send + Unpin + use<>, String> {
    let manifest = Manifest::parse(manifest).map_err(|error| error.to_string())?;
    let file = manifest.files().next().ok_or("it holds no file")?;
    Ok(StreamReader::new(Box::pin(bytes_of(keep, file.segments))))
}

fn bytes_of(keep: Keep, segments: Vec<Segment>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::iter(segments)
        .then(move |segment| {
            let keep = keep.clone();
            async move {
                let hash = segment.locator.hash();
                let block = keep.open(hash).await.and_then(|it| it.ok_or(KeepError::Missing(hash)));
                let range = segment.offset..segment.offset + segment.len;
                block
                    .map(|block| block.stream(range).map_err(io::Error::other))
                    .map_err(io::Error::other)
            }
        })
        .try_flatten()
}
