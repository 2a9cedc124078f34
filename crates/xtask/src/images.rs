//! The container images of the tests, built once and kept in the target folder.

use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result, bail};

use crate::commands::{command, root, run, target};
use crate::needs;

/// The folder of all archives.
pub(crate) fn folder() -> PathBuf {
    target().join("test-images")
}

/// The archive that `images/jupyterlab.sh` writes.
pub(crate) fn jupyterlab() -> PathBuf {
    folder().join("jupyterlab.docker.tar")
}

/// Busybox and the test server; seconds. The test server's image is rebuilt when it changed.
pub(crate) fn build_small() -> Result<()> {
    let out = text(&folder())?;
    if !folder().join("busybox.oci.tar").exists() {
        script("images/busybox.sh", &[&out])?;
    }
    let app = target().join("debug/testkit-app");
    let archive = folder().join("testapp.docker.tar");
    if is_older(&archive, &app) || is_older(&archive, &root().join("images/testapp.sh")) {
        script("images/testapp.sh", &[&text(&app)?, &out])?;
    }
    Ok(())
}

/// Starts building JupyterLab's image beside everything else, unless it is there: it waits for
/// the network more than for a core.
pub(crate) fn start_jupyterlab() -> Result<Option<Child>> {
    if jupyterlab().exists() {
        return Ok(None);
    }
    if !needs::is_root() {
        println!("setup: no JupyterLab image: only root can build it (images/jupyterlab.sh)");
        return Ok(None);
    }
    println!("setup: building the JupyterLab image in the background (three minutes)");
    let mut build = command("images/jupyterlab.sh", &[&text(&folder())?]);
    build.spawn().map(Some).context("images/jupyterlab.sh could not be started")
}

/// Waits for [`start_jupyterlab`].
pub(crate) fn finish_jupyterlab(build: Option<Child>) -> Result<()> {
    let Some(mut build) = build else { return Ok(()) };
    let status = build.wait().context("waiting for images/jupyterlab.sh")?;
    if !status.success() {
        bail!("images/jupyterlab.sh failed: {status}");
    }
    Ok(())
}

fn script(path: &str, arguments: &[&str]) -> Result<()> {
    println!("setup: {path}");
    run(command(path, arguments).stdout(std::process::Stdio::null()))
}

fn is_older(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|about| about.modified());
    match (changed(file), changed(than)) {
        (Ok(file), Ok(than)) => file < than,
        _ => true,
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).context("the target folder's name is not UTF-8")
}
