//! The `wharf supervise DIR` process, and `wharf supervise --sweep DIR`.
//!
//! The process outlives the controller: a session of its own, no pipe of the controller's, all it
//! writes goes to files. It exits when the controller has confirmed the end of the container.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{CancellationToken, Signals, TaskScope};
use model::{ContainerEnd, Outcome, Phase, SuperviseSpec, SupervisorState};
use tokio::sync::{Notify, mpsc, watch};
use tunnel::LaunchSecret;

use crate::bridge;
use crate::container;
use crate::driver::{Driver, EVENTS_WAITING, Farewell};
use crate::files::{self, Durability, Files, LockError};
use crate::gateway::{Gateway, Logs, handover};
use crate::launch::{self, Launch};
use crate::logs::journal::{Journal, now};
use crate::logs::stream::OutputLog;
use crate::shell::Shells;

/// Writes to logs and state files; more threads would only cost memory.
const BLOCKING_THREADS_MAX: usize = 2;

/// Shorter than the time between two measurements, so that an idle supervisor has one thread.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Nothing in a supervisor recurses; 16 MiB of stacks would be most of its memory limit.
const THREAD_STACK_BYTES: usize = 256 << 10;

/// A child of a killed predecessor lets go of the lock within milliseconds, more under load.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Why a supervisor could not begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("cannot take the container's directory")]
    Lock(#[from] LockError),
    #[error("cannot read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path:?} is no launch specification")]
    Spec { path: PathBuf, source: serde_json::Error },
    #[error("{path:?} holds no launch secret")]
    Secret { path: PathBuf },
    #[error("cannot open the log {path:?}")]
    Log { path: PathBuf, source: io::Error },
    #[error("cannot read what the launch keeps secret")]
    LaunchSecrets { source: io::Error },
    #[error("cannot open the block store")]
    Blocks { source: io::Error },
    #[error("cannot prepare the process")]
    Process { source: io::Error },
}

/// Runs the container that `dir` describes, until its end is confirmed.
///
/// Call it before the process has threads. Whatever happens is in `state.json` and the log files;
/// the exit code only says whether the supervisor itself did its work (0), could not begin (1), or
/// found another one at work (3).
pub fn run(dir: &Path) -> ExitCode {
    // Fails only where we lead a session already, and then there is nothing to do.
    let _leader = rustix::process::setsid();
    // To standard error, which is a file of the container's directory; set up already in tests.
    let _set_up = telemetry::init(&telemetry::LogOptions::default());
    let files = Files::of(dir);
    let result = files.lock(LOCK_PATIENCE).map_err(BeginError::from).and_then(|_lock| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_keep_alive(THREAD_KEEP_ALIVE)
            .thread_stack_size(THREAD_STACK_BYTES)
            .build()
            .map_err(|source| BeginError::Process { source })?;
        let farewell = runtime.block_on(supervise(&files))?;
        if farewell == Farewell::Acked {
            retire(&files);
        }
        Ok(())
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The other one has the word; nothing of its files may be touched.
        Err(BeginError::Lock(LockError::Taken)) => ExitCode::from(3),
        Err(error) => {
            leave_word(&files, &error);
            ExitCode::FAILURE
        }
    }
}

/// Removes what a killed supervisor left: processes, mounts, control groups, the root file system.
///
/// Idempotent; logs, `spec.json` and `state.json` stay. Refuses while a supervisor is alive.
pub fn sweep(dir: &Path) -> ExitCode {
    let files = Files::of(dir);
    let lock = match files.lock(LOCK_PATIENCE) {
        Ok(lock) => lock,
        Err(error) => return say_and_fail(&error),
    };
    let id = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Err(error) = runtime::sweep(dir, id) {
        return say_and_fail(&error);
    }
    let cleared = container::remove_mounts(dir).and_then(|()| launch::save_left_logs(dir));
    if let Err(error) = cleared {
        return say_and_fail(&error);
    }
    // Of one that was killed before it had read it.
    let _gone = std::fs::remove_file(files.launch_secrets());
    drop(lock);
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the dispatcher reads our standard error")]
fn say_and_fail(error: &dyn std::error::Error) -> ExitCode {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    eprintln!("{error}{source}");
    ExitCode::FAILURE
}

async fn supervise(files: &Files) -> Result<Farewell, BeginError> {
    let signals = Signals::listen().map_err(|source| BeginError::Process { source })?;
    files.write_pid().map_err(|source| BeginError::Process { source })?;
    let spec = load_spec(files)?;
    let secret = load_secret(files)?;
    let secrets =
        launch::take_secrets(files).map_err(|source| BeginError::LaunchSecrets { source })?;
    let keep = launch::open_keep(&spec).await.map_err(|source| BeginError::Blocks { source })?;
    let opened = |path: PathBuf| move |source| BeginError::Log { path, source };
    let journal = Journal::open(&files.crunch_run_log()).map_err(opened(files.crunch_run_log()))?;
    let open = |name, path: PathBuf| {
        OutputLog::open(name, &path, spec.log_bytes_max, journal.clone()).map_err(opened(path))
    };
    let (stdout, app_stdout) = open("stdout", files.stdout_log())?;
    let (stderr, app_stderr) = open("stderr", files.stderr_log())?;

    let scope = TaskScope::new("supervisor");
    let (events, heard) = mpsc::channel(EVENTS_WAITING);
    let state = watch::Sender::new(SupervisorState::default());
    let dialer = watch::Sender::new(None);
    let executor = watch::Sender::new(None);
    let shut = Arc::new(watch::Sender::new(bridge::Shut::new()));
    let shells = Shells::new(executor.subscribe(), journal.clone(), scope.child("shells"));
    let knocks = Arc::new(Notify::new());
    let gateway = Gateway {
        tunnels: spec.tunnels.clone(),
        knocks: Arc::clone(&knocks),
        container: spec.container_uuid.as_str().to_owned(),
        secret,
        dialer: dialer.subscribe(),
        state: state.subscribe(),
        events: events.clone(),
        shut: Arc::clone(&shut),
        logs: Logs {
            files: files.clone(),
            stdout: stdout.progress(),
            stderr: stderr.progress(),
            journal: journal.clone(),
        },
        shells,
    };
    scope.spawn_cancellable("gateway", gateway.run(scope.child("gateway")));
    let (dir, dialled, handing) =
        (files.dir().to_owned(), dialer.subscribe(), scope.child("handover"));
    scope.spawn_cancellable("handover", async move {
        handover::serve(&dir, dialled, knocks, handing).await;
    });
    // Not below `scope`: they end with the app's pipes, never by being cancelled.
    let outputs = TaskScope::new("outputs");
    outputs.spawn("stdout", stdout.copy());
    outputs.spawn("stderr", stderr.copy());

    let command = container::argv_of(&spec).into_iter().next().unwrap_or_default();
    journal.say(&format!("starting `{command}`"));
    let launch =
        Launch { secrets, output: (app_stdout, app_stderr), keep, stop: CancellationToken::new() };
    let files = files.clone();
    let shut = shut.subscribe();
    let driver =
        Driver { files, spec, journal, scope, outputs, events, state, dialer, executor, shut };
    Ok(Box::pin(driver.run(launch, heard, signals)).await)
}

fn load_spec(files: &Files) -> Result<SuperviseSpec, BeginError> {
    let path = files.spec();
    let json =
        std::fs::read(&path).map_err(|source| BeginError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&json).map_err(|source| BeginError::Spec { path, source })
}

fn load_secret(files: &Files) -> Result<LaunchSecret, BeginError> {
    let path = files.secret();
    let text = std::fs::read_to_string(&path)
        .map_err(|source| BeginError::Read { path: path.clone(), source })?;
    LaunchSecret::from_hex(text.trim()).ok_or(BeginError::Secret { path })
}

/// The record has the end: without its secret the container counts as no longer launched. If the
/// runtime could not remove everything, the dispatcher is to sweep, so the secret stays.
fn retire(files: &Files) {
    let has_leftovers = std::fs::symlink_metadata(files.dir().join("rootfs")).is_ok();
    if has_leftovers {
        return;
    }
    for path in [files.pid(), files.secret()] {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(?path, %error, "cannot remove a file of a container that is over");
        }
    }
}

/// A supervisor that cannot begin still tells why, for the record and for the log's reader.
fn leave_word(files: &Files, error: &BeginError) {
    let source =
        std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let reason = format!("the supervisor could not begin: {error}{source}");
    if let Ok(journal) = Journal::open(&files.crunch_run_log()) {
        journal.say(&reason);
    }
    tracing::error!(%reason, "supervisor could not begin");
    let end = ContainerEnd {
        outcome: Outcome::FailedToStart,
        finished_at: now(),
        reason,
        oom_killed: false,
    };
    let state =
        SupervisorState { phase: Phase::Ended, end: Some(end), ..SupervisorState::default() };
    let json = serde_json::to_vec(&state).unwrap_or_default();
    if let Err(error) = files::replace(&files.state(), &json, Durability::Power) {
        tracing::error!(%error, "cannot write state.json");
    }
}
