//! Where `cargo xtask setup` put the executable and the image archives.

use std::path::{Path, PathBuf};

/// The executable under test.
#[must_use]
pub fn wharf_binary() -> PathBuf {
    let binary = from_environment("WHARF_TEST_BIN").unwrap_or_else(|| build_folder().join("wharf"));
    present(binary)
}

/// An archive of `images/`: `busybox.docker.tar`, `busybox.oci.tar`, `testapp.docker.tar`,
/// `jupyterlab.docker.tar`.
#[must_use]
pub fn archive(name: &str) -> PathBuf {
    let folder = from_environment("WHARF_TEST_IMAGES")
        .unwrap_or_else(|| build_folder().join("../test-images"));
    present(folder.join(name))
}

/// A Python with the packages of the protocol tests.
#[must_use]
pub fn python() -> PathBuf {
    let python = from_environment("WHARF_TEST_PYTHON");
    present(python.unwrap_or_else(|| build_folder().join("../test-venv/bin/python3")))
}

/// The folder of scripts that drive clients and servers that are not ours.
#[must_use]
pub fn protocols() -> PathBuf {
    present(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/protocols"))
}

/// The folder of the OpenID provider.
#[must_use]
pub fn openid() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/openid");
    let _installed = present(folder.join("node_modules/oidc-provider"));
    folder
}

/// A virtual environment with Arvados's own clients.
#[must_use]
pub fn clients() -> PathBuf {
    let folder = from_environment("WHARF_TEST_CLIENTS");
    present(folder.unwrap_or_else(|| build_folder().join("../test-clients")))
}

/// The folder of our scripts for those clients.
#[must_use]
pub fn client_scripts() -> PathBuf {
    present(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients"))
}

/// The script that makes and runs a PostgreSQL server.
#[must_use]
pub fn postgresql_script() -> PathBuf {
    present(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgresql.sh"))
}

/// A virtual environment with `cwltest`, the judge of the CWL conformance suite.
#[must_use]
pub fn cwltest() -> PathBuf {
    let folder = from_environment("WHARF_TEST_CWLTEST");
    present(folder.unwrap_or_else(|| build_folder().join("../test-cwltest")))
}

/// The folder of a WebSocket library with its own tests, where its source could be had.
#[must_use]
pub fn suite(name: &str) -> Option<PathBuf> {
    let folder = from_environment("WHARF_TEST_SUITES")
        .unwrap_or_else(|| build_folder().join("../test-suites"));
    Some(folder.join(name)).filter(|folder| folder.is_dir())
}

/// The folder of outside proofs, where the machine has it.
#[must_use]
pub fn acceptance() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = from_environment("WHARF_TEST_ACCEPTANCE")
        .unwrap_or_else(|| root.join("../shared/acceptance"));
    folder.is_dir().then_some(folder)
}

fn from_environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// `debug` or `release` of the target folder: a test runs from its `deps`.
fn build_folder() -> PathBuf {
    let own = std::env::current_exe().expect("a running test knows its own path");
    let folder = own.ancestors().find(|folder| folder.join("deps").is_dir());
    folder.expect("tests run from a target folder").to_owned()
}

fn present(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `cargo xtask setup` first", path.display());
    path
}
