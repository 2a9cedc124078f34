//! Test suites of WebSocket libraries, from Debian's source packages: what Python's and npm's registries carry of these
//! libraries has no tests in it. Fetched at test time and never kept in the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::commands::{command, output_of, run, target};

/// A name in the folder of suites, and the source package.
const SUITES: [(&str, &str); 2] = [("websockets", "python-websockets"), ("ws", "node-ws")];
/// The release whose packages are taken: a stable one, so that versions stay.
const RELEASE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where the suites lie, each in a folder of its name.
pub(crate) fn folder() -> PathBuf {
    target().join("test-suites")
}

/// Fetches what is missing. A suite that cannot be had is told: its test then says that there is nothing to see.
pub(crate) fn fetch() -> Result<()> {
    let missing: Vec<_> =
        SUITES.into_iter().filter(|(name, _)| !folder().join(name).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("setup: fetching test suites from Debian's sources: {}", packages(&missing).join(" "));
    let work = folder().join("work");
    std::fs::create_dir_all(&work).context("the folder of test suites can't be made")?;
    let fetched = download(&work, &packages(&missing));
    for (name, package) in missing {
        if let Err(error) = unpack(&work, name, package) {
            let why = fetched.as_ref().err().map_or_else(String::new, |apt| format!(" ({apt:#})"));
            println!("setup: {package} cannot be had, so its suite will not run: {error:#}{why}");
        }
    }
    std::fs::remove_dir_all(&work).context("a folder of our own can't be removed")
}

fn packages(suites: &[(&str, &'static str)]) -> Vec<&'static str> {
    suites.iter().map(|(_, package)| *package).collect()
}

/// Downloads with lists and cache of its own: what the machine is set up with stays as it is.
fn download(work: &Path, packages: &[&str]) -> Result<()> {
    let mirror = mirror()?;
    let line = format!("deb-src [signed-by={KEYRING}] {mirror} {RELEASE} main\n");
    std::fs::write(work.join("sources.list"), line)
        .context("a file of our own can't be written")?;
    for folder in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(work.join(folder)).context("a folder of our own can't be made")?;
    }
    let at = work.display();
    let options = [
        format!("Dir::Etc::sourcelist={at}/sources.list"),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State::lists={at}/lists"),
        format!("Dir::Cache={at}/cache"),
    ];
    let apt = |words: &[&str]| {
        let mut command = command("apt-get", &["--quiet=2"]);
        command.current_dir(work);
        for option in &options {
            command.args(["-o", option]);
        }
        run(command
            .args(words)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null()))
    };
    apt(&["update"])?;
    // Of a package only the library's own archive is wanted; a mirror may lack the rest.
    apt(&[&["source", "--download-only"], packages].concat())
}

/// The mirror that this machine is set up with, in either format of its list.
fn mirror() -> Result<String> {
    let script = "awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null; \
        awk '$1 == \"deb\" {print $2; exit}' /etc/apt/sources.list 2>/dev/null; true";
    let found = output_of(&mut command("sh", &["-c", script]))?;
    found.lines().next().map(str::to_owned).context("this machine has no mirror of Debian")
}

/// Whole or not at all.
fn unpack(work: &Path, name: &str, package: &str) -> Result<()> {
    let entries = work.read_dir().context("a folder of our own can't be read")?.flatten();
    let archive = entries.map(|entry| entry.path()).find(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&format!("{package}_")) && file.contains(".orig.tar.")
    });
    let Some(archive) = archive else { bail!("the mirror did not send its archive") };
    let part = work.join(name);
    std::fs::create_dir_all(&part).context("a folder of our own can't be made")?;
    let mut tar =
        command("tar", &["--extract", "--strip-components=1", "--no-same-owner", "--file"]);
    run(tar.arg(archive).arg("--directory").arg(&part))?;
    std::fs::rename(part, folder().join(name)).context("the suite can't be moved to its place")
}
