//! Volumes as a site names them, opened.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{BlockStore, BlockVolume, S3Bucket, VolumePlace};
use outbound::{Bounds, TlsTrust};

use crate::error::KeepError;
use crate::file_volume::{DRAFTS, FileVolume};
use crate::mount::Mount;
use crate::s3_volume::{S3Options, S3Volume};
use crate::site::{Keep, KeepOptions};
use crate::volume::Volume;

/// Why there are no blocks.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A directory cannot be used.
    #[error("cannot open the blocks in {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeepError,
    },
    /// The file with a secret cannot be read, or holds none.
    #[error("Volumes.{volume}: cannot read the secret key in {}", path.display())]
    Secret {
        /// The volume's name.
        volume: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is said of a bucket makes no client.
    #[error("Volumes.{volume}: the bucket cannot be used")]
    Bucket {
        /// The volume's name.
        volume: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Opens the volumes of a site. Asks no server: one that is down now may be up when it is needed.
///
/// # Errors
/// Any of [`OpenError`].
pub async fn open(blocks: &BlockStore, options: KeepOptions) -> Result<Keep, OpenError> {
    let own = directory(&blocks.dir).await?;
    if blocks.volumes.is_empty() {
        return Ok(Keep::new(vec![Mount::new("data directory", own)], options));
    }
    let mut mounts = Vec::new();
    for volume in &blocks.volumes {
        let opened = match &volume.place {
            VolumePlace::Directory { root } => directory(root).await?,
            VolumePlace::S3(bucket) => {
                let options = s3_options(volume, bucket, blocks)?;
                let failed = |source| OpenError::Bucket { volume: volume.name.clone(), source };
                Arc::new(S3Volume::new(options).map_err(failed)?)
            }
        };
        let mut mount = Mount::new(volume.name.clone(), opened);
        mount.storage_classes.clone_from(&volume.storage_classes);
        mount.replication = volume.replication;
        mount.read_only = volume.read_only;
        mounts.push(mount);
    }
    Ok(Keep::new(mounts, KeepOptions { replication: blocks.replication, ..options }))
}

async fn directory(path: &std::path::Path) -> Result<Arc<dyn Volume>, OpenError> {
    let opened = FileVolume::open(path).await;
    let opened = opened.map_err(|source| OpenError::Directory { path: path.to_owned(), source })?;
    Ok(Arc::new(opened))
}

fn s3_options(
    volume: &BlockVolume,
    bucket: &S3Bucket,
    blocks: &BlockStore,
) -> Result<S3Options, OpenError> {
    let path = &bucket.secret_key_file;
    let secret = fs::read_to_string(path).and_then(|text| match text.trim() {
        "" => Err(std::io::Error::other("it is empty")),
        secret => Ok(secret.to_owned()),
    });
    let secret_access_key = secret.map_err(|source| OpenError::Secret {
        volume: volume.name.clone(),
        path: path.clone(),
        source,
    })?;
    let read_timeout = Duration::from_millis(bucket.read_timeout_ms);
    Ok(S3Options {
        name: volume.name.clone(),
        bucket: bucket.bucket.clone(),
        region: bucket.region.clone(),
        endpoint: bucket.endpoint.clone(),
        access_key_id: bucket.access_key_id.clone(),
        secret_access_key,
        trust: bucket.ca_file.clone().map_or(TlsTrust::System, TlsTrust::File),
        bounds: Bounds {
            connect: Duration::from_millis(bucket.connect_timeout_ms),
            answer: read_timeout,
            silence: read_timeout,
        },
        spool: blocks.dir.join(DRAFTS),
    })
}
