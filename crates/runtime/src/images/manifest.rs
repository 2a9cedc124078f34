//! Which images an archive holds: `manifest.json` of `docker save`, or `index.json` of an OCI layout.

use super::archive::Archive;
use super::error::ImageError;
use super::tarball::sha256_hex;
use crate::embedded::LAYERS_MAX;
use model::{ImageConfig, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Largest manifest or index.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Largest image configuration.
const CONFIG_BYTES_MAX: u64 = 4 << 20;
/// Deepest nesting of OCI indexes.
const INDEX_DEPTH_MAX: usize = 4;

/// One image of an archive, ready to be unpacked.
#[derive(Debug)]
pub(super) struct Plan {
    /// Digest of the configuration, hexadecimal.
    pub(super) id_hex: String,
    pub(super) config: ImageConfig,
    pub(super) created: Option<Timestamp>,
    /// As the archive says; not yet canonical.
    pub(super) names: Vec<String>,
    /// Bottom first.
    pub(super) layers: Vec<PlannedLayer>,
}

/// A layer: where it is in the archive and what it must turn out to be.
#[derive(Debug)]
pub(super) struct PlannedLayer {
    pub(super) part: String,
    /// Digest of the uncompressed layer, hexadecimal.
    pub(super) diff_id: String,
}

/// Reads what an archive holds; at least one image that suits this machine.
pub(super) fn plans(archive: &Archive) -> Result<Vec<Plan>, ImageError> {
    let plans = if archive.has("manifest.json") {
        docker_plans(archive)?
    } else if archive.has("index.json") {
        oci_plans(archive)?
    } else {
        return Err(ImageError::NotAnArchive);
    };
    if plans.is_empty() {
        return Err(ImageError::Broken("it lists no image".to_owned()));
    }
    Ok(plans)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

fn docker_plans(archive: &Archive) -> Result<Vec<Plan>, ImageError> {
    let bytes = archive.read("manifest.json", "MANIFEST_BYTES_MAX", MANIFEST_BYTES_MAX)?;
    let images: Vec<DockerImage> = parse(&bytes, "manifest.json")?;
    images
        .into_iter()
        .map(|image| {
            let config = archive.read(&image.config, "CONFIG_BYTES_MAX", CONFIG_BYTES_MAX)?;
            let parts = image.layers.unwrap_or_default();
            plan(&config, parts, image.repo_tags.unwrap_or_default())
        })
        .collect()
}

#[derive(Deserialize)]
struct OciIndex {
    #[serde(default)]
    manifests: Vec<OciDescriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OciDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    platform: Option<OciPlatform>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct OciPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Deserialize)]
struct OciManifest {
    config: OciDescriptor,
    #[serde(default)]
    layers: Vec<OciDescriptor>,
}

fn oci_plans(archive: &Archive) -> Result<Vec<Plan>, ImageError> {
    let bytes = archive.read("index.json", "MANIFEST_BYTES_MAX", MANIFEST_BYTES_MAX)?;
    let index: OciIndex = parse(&bytes, "index.json")?;
    let mut plans = Vec::new();
    collect(archive, &index, &[], 0, &mut plans)?;
    Ok(plans)
}

/// Walks an index; of a multi-platform image only this machine's part is taken.
fn collect(
    archive: &Archive,
    index: &OciIndex,
    inherited: &[String],
    depth: usize,
    plans: &mut Vec<Plan>,
) -> Result<(), ImageError> {
    if depth > INDEX_DEPTH_MAX {
        return Err(ImageError::Broken("its indexes are nested too deeply".to_owned()));
    }
    let is_ours = |entry: &&OciDescriptor| {
        entry.platform.as_ref().is_none_or(|p| p.os == "linux" && p.architecture == go_arch())
    };
    let mut entries: Vec<_> = index.manifests.iter().filter(is_ours).collect();
    // Nothing for us: go on with the first, so that the error names the platform.
    if entries.is_empty() {
        entries.extend(index.manifests.first());
    }
    for entry in entries {
        let mut names = names_in(entry);
        names.extend_from_slice(inherited);
        let bytes = blob(archive, &entry.digest, "MANIFEST_BYTES_MAX", MANIFEST_BYTES_MAX)?;
        if entry.media_type.contains("index") || entry.media_type.contains("manifest.list") {
            collect(archive, &parse(&bytes, &entry.digest)?, &names, depth + 1, plans)?;
            continue;
        }
        let manifest: OciManifest = parse(&bytes, &entry.digest)?;
        let config = blob(archive, &manifest.config.digest, "CONFIG_BYTES_MAX", CONFIG_BYTES_MAX)?;
        let parts: Result<_, _> =
            manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect();
        plans.push(plan(&config, parts?, names)?);
    }
    Ok(())
}

/// The full name if there is one (containerd, newer Docker), else the bare tag that `skopeo` and
/// `umoci` write where it looks like a full name.
fn names_in(entry: &OciDescriptor) -> Vec<String> {
    let Some(annotations) = &entry.annotations else { return Vec::new() };
    let full = annotations.get("io.containerd.image.name");
    let tag = annotations.get("org.opencontainers.image.ref.name");
    let tag = tag.filter(|name| name.contains(':') || name.contains('/'));
    full.or(tag).cloned().into_iter().collect()
}

/// Reads a blob and checks its digest.
fn blob(
    archive: &Archive,
    digest: &str,
    limit_name: &'static str,
    limit: u64,
) -> Result<Vec<u8>, ImageError> {
    let bytes = archive.read(&blob_path(digest)?, limit_name, limit)?;
    let found = format!("sha256:{}", sha256_hex(&bytes));
    if found != digest {
        let (what, expected) = ("a part".to_owned(), digest.to_owned());
        return Err(ImageError::Digest { what, expected, found });
    }
    Ok(bytes)
}

fn blob_path(digest: &str) -> Result<String, ImageError> {
    sha256_of(digest).map(|hex| format!("blobs/sha256/{hex}"))
}

/// The hexadecimal digits of a `sha256:` digest. They become directory names, so: checked.
fn sha256_of(digest: &str) -> Result<&str, ImageError> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
        .ok_or_else(|| ImageError::Broken(format!("`{digest}` is not a sha256 digest")))
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    config: Option<RunConfig>,
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RunConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize, Default)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

fn plan(config: &[u8], parts: Vec<String>, names: Vec<String>) -> Result<Plan, ImageError> {
    let file: ConfigFile = parse(config, "the image configuration")?;
    check_platform(&file)?;
    let n_diff_ids = file.rootfs.diff_ids.len();
    if n_diff_ids != parts.len() || parts.is_empty() {
        let n_parts = parts.len();
        let problem = format!("it has {n_parts} layers and {n_diff_ids} diff_ids");
        return Err(ImageError::Broken(problem));
    }
    if parts.len() > LAYERS_MAX {
        return Err(ImageError::Limit { limit_name: "LAYERS_MAX", limit: LAYERS_MAX as u64 });
    }
    let layers: Result<_, ImageError> = parts
        .into_iter()
        .zip(&file.rootfs.diff_ids)
        .map(|(part, diff_id)| Ok(PlannedLayer { part, diff_id: sha256_of(diff_id)?.to_owned() }))
        .collect();
    let created = file.created.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let run = file.config.unwrap_or_default();
    Ok(Plan {
        id_hex: sha256_hex(config),
        config: ImageConfig {
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            env: run.env.unwrap_or_default(),
            working_dir: run.working_dir.unwrap_or_default(),
            user: run.user.unwrap_or_default(),
        },
        created: created.map(Timestamp::from_jiff),
        names,
        layers: layers?,
    })
}

/// An image that does not say what it is for is taken at its word.
fn check_platform(file: &ConfigFile) -> Result<(), ImageError> {
    let here = go_arch();
    let fits = |said: &str, wanted: &str| said.is_empty() || said == wanted;
    if fits(&file.os, "linux") && fits(&file.architecture, here) {
        return Ok(());
    }
    let (os, architecture) = (file.os.clone(), file.architecture.clone());
    Err(ImageError::Platform { os, architecture, here })
}

/// This machine's processor, as images name it.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The error's own text quotes what it found.
        let problem =
            if error.is_data() { "has not the expected form" } else { "is no valid JSON" };
        let (line, column) = (error.line(), error.column());
        ImageError::Broken(format!(
            "{what} cannot be understood: it {problem} at line {line}, column {column}"
        ))
    })
}
