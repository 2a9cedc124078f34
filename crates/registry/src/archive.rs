//! An OCI layout as a tar stream (OCI image specification, "Image Layout").

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio_util::io::ReaderStream;

use crate::digest::Digest;
use crate::pull::Pulled;

/// A tar's unit.
const TAR_BLOCK: u64 = 512;
const PIECE_BYTES: usize = 256 << 10;

/// A member of the archive.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Small, in memory.
    Text { name: String, bytes: Bytes },
    /// A blob, in a file.
    Blob { digits: String, size: u64 },
}

/// The members of the layout of one image.
pub(crate) fn entries(
    manifest: &Bytes,
    digest: &Digest,
    media_type: &str,
    blobs: &[(Digest, u64)],
) -> Vec<Entry> {
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    let descriptor =
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": manifest.len()});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]}).to_string();
    let text = |name: &str, bytes: Bytes| Entry::Text { name: name.to_owned(), bytes };
    let mut entries = vec![
        text("oci-layout", layout.into()),
        text("index.json", index.into()),
        text(&blob_name(digest.digits()), manifest.clone()),
    ];
    entries.extend(
        blobs
            .iter()
            .map(|(blob, size)| Entry::Blob { digits: blob.digits().to_owned(), size: *size }),
    );
    entries
}

fn blob_name(digits: &str) -> String {
    format!("blobs/sha256/{digits}")
}

/// A piece of the stream.
enum Part {
    Bytes(Bytes),
    File(PathBuf),
}

impl Pulled {
    /// The archive, without a name of the image in it. The files must stay until it is read.
    pub fn archive(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let mut parts = Vec::new();
        for entry in &self.entries {
            let (name, size, content) = match entry {
                Entry::Text { name, bytes } => {
                    (name.clone(), bytes.len() as u64, Part::Bytes(bytes.clone()))
                }
                Entry::Blob { digits, size } => {
                    (blob_name(digits), *size, Part::File(self.blobs.path().join(digits)))
                }
            };
            parts.push(head(&name, size).map(Part::Bytes));
            parts.push(Ok(content));
            let padding = usize::try_from((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK).unwrap_or(0);
            parts.push(Ok(Part::Bytes(Bytes::from(vec![0; padding]))));
        }
        parts.push(Ok(Part::Bytes(Bytes::from(vec![0; 2 * 512]))));
        stream::iter(parts)
            .and_then(|part| async move {
                Ok(match part {
                    Part::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
                    Part::File(path) => {
                        let file = tokio::fs::File::open(path).await?;
                        ReaderStream::with_capacity(file, PIECE_BYTES).boxed()
                    }
                })
            })
            .try_flatten()
    }

    /// Bytes of the archive.
    pub fn n_bytes(&self) -> u64 {
        let of_entry = |entry: &Entry| {
            let size = match entry {
                Entry::Text { bytes, .. } => bytes.len() as u64,
                Entry::Blob { size, .. } => *size,
            };
            TAR_BLOCK + size.div_ceil(TAR_BLOCK) * TAR_BLOCK
        };
        self.entries.iter().map(of_entry).sum::<u64>() + 2 * TAR_BLOCK
    }
}

fn head(name: &str, size: u64) -> io::Result<Bytes> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}
