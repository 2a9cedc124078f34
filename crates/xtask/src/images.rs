//! The container images of the tests, built once and kept in the target folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};

use crate::commands::{command, output_of, root, run, target};
use crate::needs;

/// Busybox and one program with the libraries that it loads.
const PROGRAM: &str = "images/program.sh";

/// The folder of all archives.
pub(crate) fn folder() -> PathBuf {
    target().join("test-images")
}

/// Busybox, the test server and Node; seconds.
pub(crate) fn build_small() -> Result<()> {
    busybox()?;
    node()?;
    program("testapp", &target().join("debug/testkit-app"))
}

/// Busybox and the upstream of the benchmarks, as built for packages.
pub(crate) fn build_for_bench() -> Result<()> {
    busybox()?;
    program("bench-upstream", &target().join("dist/bench-upstream"))
}

fn busybox() -> Result<()> {
    if folder().join("busybox.oci.tar").exists() {
        return Ok(());
    }
    script("images/busybox.sh", &[&text(&folder())?])
}

fn node() -> Result<()> {
    if folder().join("node.docker.tar").exists() {
        return Ok(());
    }
    let node = output_of(&mut command("sh", &["-c", "command -v node"]))?;
    script(PROGRAM, &["node", node.trim(), &text(&folder())?])
}

/// The image of one program of this workspace; made again when that has changed.
fn program(name: &str, executable: &Path) -> Result<()> {
    let archive = folder().join(format!("{name}.docker.tar"));
    if is_older(&archive, executable) || is_older(&archive, &root().join(PROGRAM)) {
        script(PROGRAM, &[name, &text(executable)?, &text(&folder())?])?;
    }
    Ok(())
}

/// Images of Debian's packages: name of archive and script.
const DEBIAN: [&str; 3] = ["jupyterlab", "python", "postgresql"];

/// And those that slow tests alone run in.
const DEBIAN_SLOW: [&str; 2] = ["jobs", "cwl"];

/// Builds the Debian images that are missing, beside everything else: they wait for the network more than for a core.
/// One after the other, since they share a base.
pub(crate) fn start_debian(slow: bool) -> Result<Option<JoinHandle<Result<()>>>> {
    let out = text(&folder())?;
    let wanted = DEBIAN.into_iter().chain(DEBIAN_SLOW.into_iter().filter(|_| slow));
    let missing: Vec<&str> = wanted.filter(|name| !is_made(name)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    if !needs::is_root() {
        println!(
            "setup: only root can build these images, whose tests will fail: {}",
            missing.join(", ")
        );
        return Ok(None);
    }
    println!(
        "setup: building images in the background (a minute or two each): {}",
        missing.join(", ")
    );
    Ok(Some(std::thread::spawn(move || {
        missing.into_iter().try_for_each(|name| build_debian(name, &out))
    })))
}

/// Waits for [`start_debian`].
pub(crate) fn finish_debian(build: Option<JoinHandle<Result<()>>>) -> Result<()> {
    match build.map(JoinHandle::join) {
        None => Ok(()),
        Some(Ok(built)) => built,
        Some(Err(_panic)) => bail!("building the images panicked"),
    }
}

fn build_debian(name: &str, out: &str) -> Result<()> {
    let mut build = command(format!("images/{name}.sh"), &[out]);
    run(build.args(packages(name)).stdout(Stdio::null()))?;
    std::fs::write(made_of(name), packages(name).join("\n"))
        .context("a mark beside an image can't be written")
}

/// What a script installs besides what it names itself.
fn packages(name: &str) -> &'static [&'static str] {
    match name {
        "python" => &needs::PYTHON_PACKAGES,
        "jobs" => &[needs::CLIENT_VERSION],
        _ => &[],
    }
}

fn is_made(name: &str) -> bool {
    let made_of = std::fs::read_to_string(made_of(name)).unwrap_or_default();
    folder().join(format!("{name}.docker.tar")).exists() && made_of == packages(name).join("\n")
}

fn made_of(name: &str) -> PathBuf {
    folder().join(format!("{name}.packages"))
}

fn script(path: &str, arguments: &[&str]) -> Result<()> {
    println!("setup: {path}");
    run(command(path, arguments).stdout(Stdio::null()))
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
