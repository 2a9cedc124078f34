//! From the directory that the dispatcher prepared to a container that runs, and back to what is kept of it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use keep::{Keep, KeepOptions};
use lifecycle::CancellationToken;
use model::{LaunchSecrets, SuperviseSpec};
use runtime::{Embedded, Handle, Runtime};

use crate::container;
use crate::files::{self, Durability, Files};
use crate::inputs::cache::FileCache;
use crate::inputs::{self, OutputPlan};
use crate::logs::journal::Journal;
use crate::output;

/// Blocks that one supervisor reads and writes at a time.
pub(crate) const BUFFERS: u32 = 4;

/// The log files that are kept for good, in the order of a manifest.
const LOG_FILES: [&str; 6] =
    ["container.json", "crunch-run.txt", "crunchstat.txt", "node.json", "stderr.txt", "stdout.txt"];

/// What a start needs beside the specification.
#[derive(Debug)]
pub(crate) struct Launch {
    /// What nobody may find afterwards.
    pub(crate) secrets: LaunchSecrets,
    /// The app's ends of its two logs.
    pub(crate) output: (OwnedFd, OwnedFd),
    /// The blocks, where there are any.
    pub(crate) keep: Option<Keep>,
    /// Ends the making ready of inputs.
    pub(crate) stop: CancellationToken,
}

/// The blocks of this machine, as the specification names them.
pub(crate) async fn open_keep(spec: &SuperviseSpec) -> io::Result<Option<Keep>> {
    let Some(blocks) = &spec.blocks else { return Ok(None) };
    let options = KeepOptions { buffers: BUFFERS, ..KeepOptions::default() };
    keep::open(blocks, options).await.map(Some).map_err(io::Error::other)
}

/// Reads what nobody may find afterwards, and removes it.
pub(crate) fn take_secrets(files: &Files) -> io::Result<LaunchSecrets> {
    let path = files.launch_secrets();
    match std::fs::read(&path) {
        Ok(json) => {
            std::fs::remove_file(&path)?;
            serde_json::from_slice(&json).map_err(io::Error::other)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LaunchSecrets::default()),
        Err(error) => Err(error),
    }
}

/// Makes everything ready and starts the command; in words, why not.
pub(crate) async fn start(
    spec: SuperviseSpec,
    files: Files,
    launch: Launch,
    journal: Journal,
) -> Result<(Handle, Option<OutputPlan>), String> {
    let cache = match (&launch.keep, &spec.blocks) {
        (Some(keep), Some(blocks)) => {
            let cache = FileCache::open(&blocks.cache, blocks.cache_bytes_max, keep.clone());
            Some(cache.map_err(|error| format!("cannot open the cache of inputs: {error}"))?)
        }
        _ => None,
    };
    let secret_targets: Vec<String> =
        launch.secrets.mounts.contents.iter().map(|it| it.target.clone()).collect();
    let began = tokio::time::Instant::now();
    let mut staged =
        inputs::stage(&spec, &secret_targets, files.dir(), cache.as_ref(), &launch.stop)
            .await
            .map_err(|error| error.to_string())?;
    if !spec.mounts.collections.is_empty() {
        journal.say(&format!("inputs are ready after {} ms", began.elapsed().as_millis()));
    }
    let plan = staged.output.take();
    let container = container::spec_of(&spec, launch.secrets, files.dir(), staged, launch.output);
    let handle = Embedded.start(container).await.map_err(|error| error.to_string())?;
    Ok((handle, plan))
}

/// Saves what the container made; in words, why that failed.
pub(crate) async fn save_output(
    keep: &Keep,
    plan: &OutputPlan,
    globs: &[String],
    files: &Files,
    journal: &Journal,
) -> Result<(), String> {
    journal.say("saving the output");
    let saved = output::save(keep, plan, globs).await.map_err(|error| error.to_string())?;
    for note in &saved.notes {
        journal.say(note);
    }
    let path = files.output_manifest();
    let written = tokio::task::spawn_blocking(move || {
        files::replace(&path, saved.manifest.as_bytes(), Durability::Power)
    });
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the output could not be saved: {error}")),
        Err(error) => Err(format!("the output could not be saved: {error}")),
    }
}

/// Saves the logs as they are now. Without them the record has none, and that is all.
pub(crate) async fn save_logs(keep: &Keep, files: &Files) {
    let manifest = match output::save_files(keep, &files.logs(), &LOG_FILES).await {
        Ok(manifest) => manifest,
        Err(error) => return tracing::warn!(%error, "the logs were not saved"),
    };
    let path = files.log_manifest();
    let written = tokio::task::spawn_blocking(move || {
        files::replace(&path, manifest.as_bytes(), Durability::Power)
    });
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "the manifest of the logs was not written");
    }
}

/// For a supervisor that was killed: keeps the logs that it left, unless it had done so itself.
pub(crate) fn save_left_logs(dir: &Path) -> io::Result<()> {
    let files = Files::of(dir);
    if files.log_manifest().exists() || !files.crunch_run_log().exists() {
        return Ok(());
    }
    let Ok(json) = std::fs::read(files.spec()) else { return Ok(()) };
    let Ok(spec) = serde_json::from_slice::<SuperviseSpec>(&json) else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(keep) = open_keep(&spec).await? {
            save_logs(&keep, &files).await;
        }
        Ok(())
    })
}
