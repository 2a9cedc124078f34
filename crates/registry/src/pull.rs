//! The way from a reference to an archive.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use outbound::Outbound;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::archive;
use crate::blob;
use crate::credentials::Logins;
use crate::digest::Digest;
use crate::error::PullError;
use crate::manifest::{self, Descriptor, Manifest};
use crate::reference::Reference;
use crate::session::Session;

/// Indexes in indexes.
const INDEX_DEPTH_MAX: usize = 4;

/// What an image is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// As Go calls it: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Of architectures that have several: `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub fn here() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    pub(crate) fn is_for(&self, wanted: &Self) -> bool {
        self.os == wanted.os && self.architecture == wanted.architecture
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// What a pull may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a manifest or an index.
    pub manifest_bytes_max: u64,
    /// Layers of the image.
    pub layers_max: usize,
    /// Bytes of all blobs together, as they come.
    pub image_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // As many as an import takes; manifests have kilobytes.
        Self { manifest_bytes_max: 1 << 20, layers_max: 500, image_bytes_max: 64 << 30 }
    }
}

/// Called with the bytes there are, and the bytes there will be.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// An image that was fetched; its files go when this is dropped.
#[derive(Debug)]
pub struct Pulled {
    /// The digest of the image's manifest.
    pub digest: String,
    pub(crate) blobs: TempDir,
    pub(crate) entries: Vec<archive::Entry>,
}

/// Fetches the image of a reference for a platform.
///
/// # Errors
/// Any of [`PullError`]; nothing is left then.
pub async fn pull(
    outbound: Outbound,
    reference: Reference,
    logins: &Logins,
    platform: &Platform,
    limits: Limits,
    progress: Progress,
) -> Result<Pulled, PullError> {
    let login = logins.of(reference.registry())?;
    let mut session = Session::new(outbound, reference, login);
    let (bytes, digest, manifest) = find(&mut session, platform, limits).await?;
    let config = manifest.config.as_ref().ok_or_else(|| {
        session.not_understood("the manifest names no configuration; is it an image?")
    })?;
    let wanted = wanted(&session, config, &manifest.layers, limits)?;
    let total = wanted.iter().map(|(_, size)| size).sum();
    let folder = TempDir::with_prefix("wharf-pull-");
    let blobs = folder.map_err(|source| PullError::Disk { path: std::env::temp_dir(), source })?;
    let mut n_done = 0;
    for (blob, size) in &wanted {
        let path = blobs.path().join(blob.digits());
        let told = |n_bytes| progress(n_done + n_bytes, total);
        blob::fetch(&mut session, blob, *size, &path, &told).await?;
        n_done += size;
    }
    check_platform(&session, &blobs, &wanted[0].0, platform).await?;
    let media_type = match manifest.media_type.as_str() {
        "" => "application/vnd.oci.image.manifest.v1+json",
        told => told,
    };
    let entries = archive::entries(&bytes, &digest, media_type, &wanted);
    Ok(Pulled { digest: digest.to_string(), blobs, entries })
}

/// The manifest for the platform: its bytes, digest and content.
async fn find(
    session: &mut Session,
    platform: &Platform,
    limits: Limits,
) -> Result<(bytes::Bytes, Digest, Manifest), PullError> {
    let mut asked = session.reference.asked();
    let mut digest = session.reference.digest().cloned();
    for _depth in 0..INDEX_DEPTH_MAX {
        let bytes =
            blob::manifest(session, &asked, digest.as_ref(), limits.manifest_bytes_max).await?;
        let found: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| session.not_understood(format!("the manifest: {error}")))?;
        if found.schema_version != 2 {
            return Err(session.not_understood("the manifest is of a version before 2"));
        }
        if found.manifests.is_empty() {
            let digest = Digest::of(&bytes);
            return Ok((bytes, digest, found));
        }
        let entry = manifest::entry_for(&found.manifests, platform)?;
        let named = entry.parsed_digest();
        let named = named.ok_or_else(|| session.not_understood("a digest that is no SHA-256"))?;
        asked = named.to_string();
        digest = Some(named);
    }
    Err(session.not_understood("its indexes are nested too deeply"))
}

/// Each blob once, the configuration first.
fn wanted(
    session: &Session,
    config: &Descriptor,
    layers: &[Descriptor],
    limits: Limits,
) -> Result<Vec<(Digest, u64)>, PullError> {
    if layers.len() > limits.layers_max {
        let why = format!("the image has {} layers, over {}", layers.len(), limits.layers_max);
        return Err(session.not_understood(why));
    }
    let (mut wanted, mut seen, mut total) = (Vec::new(), BTreeSet::new(), 0_u64);
    for blob in std::iter::once(config).chain(layers) {
        let digest = blob.parsed_digest();
        let digest = digest.ok_or_else(|| session.not_understood("a digest that is no SHA-256"))?;
        if seen.insert(digest.to_string()) {
            total = total.saturating_add(blob.size);
            wanted.push((digest, blob.size));
        }
    }
    if total > limits.image_bytes_max {
        let what = format!("the image {}", session.reference);
        return Err(PullError::TooLarge { what, bytes_max: limits.image_bytes_max });
    }
    Ok(wanted)
}

/// An image without an index says in its configuration what it is made for.
async fn check_platform(
    session: &Session,
    blobs: &TempDir,
    config: &Digest,
    wanted: &Platform,
) -> Result<(), PullError> {
    let path = blobs.path().join(config.digits());
    let bytes = tokio::fs::read(&path).await;
    let bytes = bytes.map_err(|source| PullError::Disk { path, source })?;
    let made_for: Platform = serde_json::from_slice(&bytes)
        .map_err(|error| session.not_understood(format!("the configuration: {error}")))?;
    if made_for.is_for(wanted) {
        return Ok(());
    }
    Err(PullError::Platform { wanted: wanted.to_string(), known: made_for.to_string() })
}
