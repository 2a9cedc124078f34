//! Content into files, checked on the way.

use std::path::Path;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::digest::{Digest, Hasher};
use crate::error::PullError;
use crate::session::Session;

/// A transfer that breaks off is begun again so often.
const TRIES_MAX: usize = 3;

/// Fetches a manifest, which has this digest where one is known.
pub(crate) async fn manifest(
    session: &mut Session,
    asked: &str,
    digest: Option<&Digest>,
    bytes_max: u64,
) -> Result<Bytes, PullError> {
    let path = format!("manifests/{asked}");
    let answer = session.get(&path, crate::manifest::ACCEPTED).await?;
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let piece = frame?.into_data().unwrap_or_default();
        if (bytes.len() + piece.len()) as u64 > bytes_max {
            return Err(PullError::TooLarge { what: "the manifest".to_owned(), bytes_max });
        }
        bytes.extend_from_slice(&piece);
    }
    match digest {
        Some(digest) if Digest::of(&bytes) != *digest => Err(wrong(session, digest)),
        _ => Ok(bytes.into()),
    }
}

/// Fetches a blob into a file, which is new. `progress` hears how many bytes of it there are.
pub(crate) async fn fetch(
    session: &mut Session,
    digest: &Digest,
    size: u64,
    path: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), PullError> {
    let mut n_tries = 0;
    loop {
        n_tries += 1;
        match fetch_once(session, digest, size, path, progress).await {
            Err(PullError::Outbound(_)) if n_tries < TRIES_MAX => progress(0),
            other => return other,
        }
    }
}

async fn fetch_once(
    session: &mut Session,
    digest: &Digest,
    size: u64,
    path: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), PullError> {
    let answer = session.get(&format!("blobs/{digest}"), "*/*").await?;
    let disk = |source| PullError::Disk { path: path.to_owned(), source };
    let mut file = tokio::fs::File::create(path).await.map_err(disk)?;
    let (mut body, mut hasher, mut n_bytes) = (answer.into_body(), Hasher::new(), 0);
    while let Some(frame) = body.frame().await {
        let piece = frame?.into_data().unwrap_or_default();
        n_bytes += piece.len() as u64;
        // Nobody fills the disk with more than was announced.
        if n_bytes > size {
            return Err(wrong(session, digest));
        }
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(disk)?;
        progress(n_bytes);
    }
    file.flush().await.map_err(disk)?;
    if n_bytes != size || hasher.finish() != *digest {
        return Err(wrong(session, digest));
    }
    Ok(())
}

fn wrong(session: &Session, digest: &Digest) -> PullError {
    PullError::Digest { registry: session.registry(), digest: digest.to_string() }
}
