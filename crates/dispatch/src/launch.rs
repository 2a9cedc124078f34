//! One launch, step by step: find the image, write what the supervisor needs, start it.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Container, SuperviseSpec};
use tunnel::LaunchSecret;

use crate::backend::{Backend, BackendError};
use crate::config::DispatchConfig;
use crate::images::ImageResolver;
use crate::launch_spec::{self, SpecError};
use crate::layout::ContainerDir;

/// The image store reads a few small files; a disk that takes longer is as good as broken.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(30);

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
    let dir = ContainerDir::of(&config.data_dir, container.uuid);
    tokio::task::spawn_blocking(move || prepare(&dir, &spec))
        .await
        .map_err(|_panic| LaunchError::Interrupted)??;
    backend.launch(container.uuid).await?;
    Ok(())
}

/// Writes the directory. The secret comes last: its presence says that the rest is there.
///
/// Nothing is synced: a launch does not survive the loss of power anyway.
fn prepare(dir: &ContainerDir, spec: &SuperviseSpec) -> Result<(), LaunchError> {
    let at = |path: PathBuf| move |source| step_failed(path, source);
    DirBuilder::new().recursive(true).mode(0o700).create(dir.log()).map_err(at(dir.log()))?;
    for old in [dir.state(), dir.pid(), dir.secret()] {
        remove(&old).map_err(at(old))?;
    }
    let json = serde_json::to_vec_pretty(spec).map_err(|error| at(dir.spec())(error.into()))?;
    write(&dir.spec(), &json).map_err(at(dir.spec()))?;
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
    let new = path.with_extension("new");
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
        std::fs::write(path.with_extension("new"), "half-writ").unwrap();
        write(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
