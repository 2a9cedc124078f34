//! Supervisors as processes of this machine, which outlive us: found again by pid and start time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lifecycle::TaskScope;
use model::ContainerUuid;
use rustix::process::Signal;
use tokio::process::Command;
use tokio::sync::watch;

use crate::backend::{Backend, BackendError, EndHow, Found};
use crate::launch::remove;
use crate::layout::{self, ContainerDir};
use process::ProcessRef;

mod process;

/// A sweep waits for killed processes to go and removes a directory tree: seconds at most.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Words of a failed sweep that are kept.
const SWEEP_WORDS_MAX: usize = 2000;

/// Runs `<executable> supervise DIR`.
#[derive(Clone, Debug)]
pub struct LocalBackend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    data_dir: PathBuf,
    executable: PathBuf,
    scope: TaskScope,
    /// Supervisors whose end somebody waits for.
    watched: Mutex<BTreeMap<ContainerUuid, ProcessRef>>,
    n_deaths: watch::Sender<u64>,
}

impl LocalBackend {
    /// `executable` is ours (`std::env::current_exe`); tasks that wait for supervisors live in
    /// `scope`, and their end leaves the supervisors running.
    pub fn new(data_dir: PathBuf, executable: PathBuf, scope: TaskScope) -> Self {
        let n_deaths = watch::Sender::new(0);
        let watched = Mutex::default();
        Self(Arc::new(Inner { data_dir, executable, scope, watched, n_deaths }))
    }
}

impl Inner {
    fn dir(&self, container: ContainerUuid) -> ContainerDir {
        ContainerDir::of(&self.data_dir, container)
    }

    /// A poisoned lock is taken as is: each entry is whole.
    fn watched(&self) -> MutexGuard<'_, BTreeMap<ContainerUuid, ProcessRef>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The executable with nothing of ours: no environment, no terminal, no descriptors.
    fn command(&self, args: &[&str], dir: &Path) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg("supervise").args(args).arg(dir).env_clear().current_dir("/");
        command.stdin(Stdio::null());
        command
    }

    fn launch(self: &Arc<Self>, container: ContainerUuid) -> Result<(), BackendError> {
        let dir = self.dir(container);
        let path = dir.supervisor_log();
        let log =
            open_log(&path).map_err(|source| BackendError::File { step: "open", path, source })?;
        let mut command = self.command(&[], dir.path());
        command.stdout(log.0).stderr(log.1);
        let spawned = |source| BackendError::Spawn { executable: self.executable.clone(), source };
        let mut child = command.spawn().map_err(spawned)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        // Ours and not reaped yet, so the number is still its own.
        if let Some(process) = ProcessRef::of_child(pid) {
            self.watched().insert(container, process);
        }
        // It writes the same itself, a moment later: a dispatcher that takes our place in that moment must not take
        // the supervisor for dead.
        if let Err(error) = process::write_pid_file(&dir.pid(), pid) {
            tracing::warn!(container.uuid = %container, %error, "cannot write a supervisor's pid file");
        }
        let backend = Arc::clone(self);
        // When the scope ends first the child is left to init: it must outlive us.
        self.scope.spawn_cancellable("supervisor-child", async move {
            let status = child.wait().await;
            tracing::debug!(container.uuid = %container, ?status, "supervisor ended");
            backend.is_dead(container);
        });
        Ok(())
    }

    fn is_dead(&self, container: ContainerUuid) {
        self.watched().remove(&container);
        self.n_deaths.send_modify(|n| *n += 1);
    }

    /// Finds a supervisor of an earlier controller and waits for its end.
    fn adopt(self: &Arc<Self>, container: ContainerUuid, process: ProcessRef) {
        self.watched().insert(container, process.clone());
        let backend = Arc::clone(self);
        self.scope.spawn_cancellable("supervisor-adopted", async move {
            process.ended().await;
            tracing::debug!(container.uuid = %container, "adopted supervisor ended");
            backend.is_dead(container);
        });
    }

    fn find(self: &Arc<Self>, container: ContainerUuid) -> Found {
        let dir = self.dir(container);
        // Before the liveness: a supervisor writes its last state and then ends.
        let is_watched = self.watched().contains_key(&container);
        let is_alive = is_watched
            || match ProcessRef::from_pid_file(&dir.pid()) {
                Some(process) => {
                    tracing::info!(container.uuid = %container, "found a running supervisor");
                    self.adopt(container, process);
                    true
                }
                None => false,
            };
        let said = std::fs::read(dir.state()).ok();
        let said = said.and_then(|json| serde_json::from_slice(&json).ok());
        Found { container, is_alive, said }
    }

    fn launched(&self) -> Result<Vec<ContainerUuid>, BackendError> {
        let path = layout::containers_dir(&self.data_dir);
        let failed = |source| BackendError::File { step: "list", path: path.clone(), source };
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut containers = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let Some(container) = name.to_str().and_then(|it| ContainerUuid::parse(it).ok()) else {
                continue;
            };
            if self.dir(container).secret().is_file() {
                containers.push(container);
            }
        }
        Ok(containers)
    }

    async fn sweep(&self, container: ContainerUuid) -> Result<(), BackendError> {
        let failed = |problem: String| BackendError::Sweep { container, problem };
        let dir = self.dir(container);
        let mut command = self.command(&["--sweep"], dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = tokio::time::timeout(SWEEP_TIMEOUT, command.output()).await;
        let output = output
            .map_err(|_elapsed| failed(format!("it took over {} s", SWEEP_TIMEOUT.as_secs())))?
            .map_err(|source| BackendError::Spawn {
                executable: self.executable.clone(),
                source,
            })?;
        if output.status.success() {
            return Ok(());
        }
        let mut words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        words.truncate(words.floor_char_boundary(SWEEP_WORDS_MAX));
        Err(failed(format!("{words} ({})", output.status)))
    }

    fn end(&self, container: ContainerUuid, how: EndHow) {
        let process = self.watched().get(&container).cloned();
        let Some(process) = process else { return };
        process.signal(match how {
            EndHow::Ask => Signal::TERM,
            EndHow::Kill => Signal::KILL,
        });
    }

    fn forget(&self, container: ContainerUuid) -> Result<(), BackendError> {
        let dir = self.dir(container);
        for path in [dir.pid(), dir.secret()] {
            remove(&path).map_err(|source| BackendError::File { step: "remove", path, source })?;
        }
        Ok(())
    }
}

impl Backend for LocalBackend {
    fn launch(&self, container: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>> {
        async move { self.0.launch(container) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Found>, BackendError>> {
        let backend = Arc::clone(&self.0);
        let listed = move || {
            let launched = backend.launched()?.into_iter();
            Ok(launched.map(|container| backend.find(container)).collect())
        };
        // Some small files for each container.
        let listing = tokio::task::spawn_blocking(listed);
        async move {
            let listed = listing.await;
            listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        }
        .boxed()
    }

    fn end(
        &self,
        container: ContainerUuid,
        how: EndHow,
    ) -> BoxFuture<'_, Result<(), BackendError>> {
        async move {
            self.0.end(container, how);
            Ok(())
        }
        .boxed()
    }

    fn sweep(&self, container: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>> {
        self.0.sweep(container).boxed()
    }

    fn forget(&self, container: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>> {
        async move { self.0.forget(container) }.boxed()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.n_deaths.subscribe()
    }
}

/// The same file for both streams.
fn open_log(path: &Path) -> io::Result<(File, File)> {
    let log = File::options().create(true).append(true).open(path)?;
    Ok((log.try_clone()?, log))
}

#[cfg(test)]
mod tests;
