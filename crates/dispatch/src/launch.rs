//! One launch, step by step: find the image, write what the supervisor needs, start it.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Container, LaunchSecrets, SuperviseSpec};
use store::{Store, StoreError};
use tunnel::LaunchSecret;

use crate::backend::{Backend, BackendError};
use crate::config::DispatchConfig;
use crate::images::ImageResolver;
use crate::launch_spec::{self, SpecError};
use crate::layout::ContainerDir;

/// An image that a client stored as a collection is unpacked now, the first time: some tens of GB at 50 MB/s.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(1800);

/// Why a container could not be launched; [`LaunchError::words`] go on its record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("image {image} is not on this machine; import it again (`wharf image import`)")]
    NoImage { image: String },
    #[error("image {image} cannot be used: {problem}")]
    BrokenImage { image: String, problem: String },
    #[error("reading image {image} took longer than {} s", IMAGE_TIMEOUT.as_secs())]
    SlowImage { image: String },
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error("the collection {hash} that it mounts does not exist any more")]
    NoCollection { hash: String },
    #[error("the runtime_token that it was to use does not hold any more")]
    NoToken,
    #[error("cannot read what it needs from the records")]
    Records(#[from] StoreError),
    #[error("no space left on the disk of {path:?}: free some space and run it again")]
    DiskFull { path: PathBuf },
    #[error("cannot prepare {path:?}")]
    Prepare {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the supervisor did not start")]
    Backend(#[from] BackendError),
    #[error("preparing the container's directory was interrupted")]
    Interrupted,
}

impl LaunchError {
    /// The error with its sources, in one line.
    pub(crate) fn words(&self) -> String {
        let mut words = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            words = format!("{words}: {error}");
            source = error.source();
        }
        words
    }
}

/// Starts the supervisor of a locked container.
pub(crate) async fn launch(
    container: &Container,
    store: &Store,
    config: &DispatchConfig,
    images: &Arc<dyn ImageResolver>,
    backend: &Arc<dyn Backend>,
) -> Result<(), LaunchError> {
    let name = &container.container_image;
    let image = match tokio::time::timeout(IMAGE_TIMEOUT, images.resolve(name)).await {
        Ok(Ok(Some(image))) => image,
        Ok(Ok(None)) => return Err(LaunchError::NoImage { image: name.clone() }),
        Ok(Err(problem)) => return Err(LaunchError::BrokenImage { image: name.clone(), problem }),
        Err(_elapsed) => return Err(LaunchError::SlowImage { image: name.clone() }),
    };
    let spec = launch_spec::build(container, image, config)?;
    let files = LaunchFiles {
        manifests: manifests_of(&spec, store).await?,
        secrets: secrets_of(&spec, store).await?,
        record: serde_json::to_vec_pretty(container).unwrap_or_default(),
        node: node_facts(config),
        spec,
    };
    let dir = ContainerDir::of(&config.data_dir, container.uuid);
    tokio::task::spawn_blocking(move || prepare(&dir, &files))
        .await
        .map_err(|_panic| LaunchError::Interrupted)??;
    backend.launch(container.uuid).await?;
    Ok(())
}

/// What is written for the supervisor.
struct LaunchFiles {
    spec: SuperviseSpec,
    secrets: LaunchSecrets,
    /// By portable data hash.
    manifests: Vec<(String, String)>,
    /// `container.json` and `node.json` of the logs.
    record: Vec<u8>,
    node: Vec<u8>,
}

/// The manifests of the collections that are mounted. Whether their reader may see them was asked when the request was
/// committed.
async fn manifests_of(
    spec: &SuperviseSpec,
    store: &Store,
) -> Result<Vec<(String, String)>, LaunchError> {
    let mut manifests = Vec::new();
    for hash in spec.mounts.portable_data_hashes() {
        let found = store.manifest_by_hash(hash).await?;
        let manifest = found.ok_or_else(|| LaunchError::NoCollection { hash: hash.to_owned() })?;
        manifests.push((hash.to_owned(), manifest));
    }
    Ok(manifests)
}

async fn secrets_of(spec: &SuperviseSpec, store: &Store) -> Result<LaunchSecrets, LaunchError> {
    let uuid = spec.container_uuid;
    let mut secrets =
        LaunchSecrets { mounts: store.secret_mounts(uuid).await?, ..LaunchSecrets::default() };
    if let Some(access) = &spec.api {
        let token = store.container_token(uuid).await?.ok_or(LaunchError::NoToken)?;
        secrets.environment = launch_spec::api_environment(access, &token.text);
    }
    Ok(secrets)
}

/// What the logs say of the machine, under Arvados's name for it.
fn node_facts(config: &DispatchConfig) -> Vec<u8> {
    let facts = serde_json::json!({
        "name": rustix::system::uname().nodename().to_string_lossy(),
        "RAM": config.ram_bytes,
        "VCPUs": config.vcpus,
    });
    serde_json::to_vec_pretty(&facts).unwrap_or_default()
}

/// Writes the directory. The secret comes last: its presence says that the rest is there.
///
/// Nothing is synced: a launch does not survive the loss of power anyway.
fn prepare(dir: &ContainerDir, files: &LaunchFiles) -> Result<(), LaunchError> {
    let at = |path: PathBuf| move |source| step_failed(path, source);
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(0o700);
    folders.create(dir.log()).map_err(at(dir.log()))?;
    folders.create(dir.manifests()).map_err(at(dir.manifests()))?;
    let old = [dir.state(), dir.pid(), dir.secret(), dir.output_manifest(), dir.log_manifest()];
    for old in old {
        remove(&old).map_err(at(old))?;
    }
    for (hash, manifest) in &files.manifests {
        let path = dir.manifests().join(hash);
        write(&path, manifest.as_bytes()).map_err(at(path))?;
    }
    for (name, content) in [("container.json", &files.record), ("node.json", &files.node)] {
        let path = dir.log().join(name);
        write(&path, content).map_err(at(path))?;
    }
    let to_json = |error: serde_json::Error| at(dir.spec())(error.into());
    let json = serde_json::to_vec_pretty(&files.spec).map_err(to_json)?;
    write(&dir.spec(), &json).map_err(at(dir.spec()))?;
    let json = serde_json::to_vec(&files.secrets).map_err(to_json)?;
    write(&dir.launch_secrets(), &json).map_err(at(dir.launch_secrets()))?;
    let secret = LaunchSecret::generate().map_err(at(dir.secret()))?;
    write(&dir.secret(), secret.to_hex().as_bytes()).map_err(at(dir.secret()))
}

fn step_failed(path: PathBuf, source: io::Error) -> LaunchError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LaunchError::DiskFull { path },
        _ => LaunchError::Prepare { path, source },
    }
}

/// For our eyes only, whatever the umask; never half-written under its own name.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    remove(&new)?;
    let mut file: File = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    std::fs::rename(&new, path)
}

/// Fine if it is not there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: io::ErrorKind, expected: &str) {
        let error = step_failed("/data/containers".into(), io::Error::from(kind));
        assert!(error.words().starts_with(expected), "{}", error.words());
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_faults() {
        let full = "no space left on the disk of \"/data/containers\": free some space";
        check(io::ErrorKind::StorageFull, full);
        check(io::ErrorKind::QuotaExceeded, full);
        check(io::ErrorKind::PermissionDenied, "cannot prepare \"/data/containers\": permission");
    }

    #[test]
    fn files_are_for_our_eyes_only_and_replace_what_a_crash_left() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(dir.path().join("secret.new"), "half-writ").unwrap();
        write(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
