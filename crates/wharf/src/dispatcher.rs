//! `wharf dispatch`: queue to supervisors, for data directories that are served by `wharf controller`.

use crate::blocks;
use crate::controller::{Keeping, settings};
use crate::data_dir::DataDir;
use crate::process::{print, runtime, start_logs, unless_stopped, write_ready_file};
use anyhow::{Context, Result};
use cli::{DispatchArgs, SharedArgs};
use config::{Config, Environment};
use dispatch::{Dispatcher, LocalBackend};
use lifecycle::{Ladder, Signals, TaskScope, UpgradeSignal};
use std::sync::Arc;
use std::time::Duration;
use tunnel::Registry;

/// Runs until it is told to stop. Containers go on without it.
pub(crate) fn run(args: &DispatchArgs, shared: &SharedArgs) -> Result<()> {
    let environment = Environment::read();
    let data = shared.data.clone().unwrap_or_else(|| config::default_data_dir(&environment));
    let database = args.database.as_ref().or(environment.database.as_ref());
    let config = settings::resolve(&data, None, args.config.as_deref(), database)?;
    start_logs(&environment, &config.log)?;
    runtime()?.block_on(async {
        let mut signals = Signals::listen().context("listen for signals")?;
        let opened = unless_stopped(&mut signals, Keeping::open_for_dispatch(&config)).await?;
        let Some((data, keeping)) = opened else { return Ok(()) };
        let work = TaskScope::new("dispatch");
        start(&work, &data, &config, &keeping)?;
        print(&format!("Wharf dispatches for {}\n", data.path().display()))?;
        if let Some(path) = &args.ready_file {
            write_ready_file(path, &serde_json::json!({ "pid": std::process::id() }))?;
        }
        let mut upgrades = UpgradeSignal::listen().context("listen for signals")?;
        let first = loop {
            tokio::select! {
                signal = signals.next() => break signal,
                () = upgrades.next() => tracing::warn!(
                    "a dispatcher is not replaced by a signal: start another one, which waits, and stop this one"
                ),
            }
        };
        tracing::info!(signal = ?first, "stopping; running services stay");
        let hurry = async {
            signals.next().await;
        };
        let bound = config.shutdown.end_timeout;
        let report = Ladder::new(work).descend(Duration::ZERO, bound, hurry).await;
        keeping.store.close().await;
        tracing::info!(left = ?report.left, "stopped");
        Ok(())
    })
}

/// Starts the dispatcher below `work`, for a process without tunnels of its own.
fn start(work: &TaskScope, data: &DataDir, config: &Config, keeping: &Keeping) -> Result<()> {
    let followed = keeping.store.clone();
    work.spawn_cancellable("other processes' changes", async move {
        followed.follow_changes().await;
    });
    let supervisors = work.child("supervisor processes");
    let dispatcher = build(data, config, keeping, Registry::new(), supervisors)?;
    work.spawn("dispatcher", dispatcher.run(work.token()));
    blocks::start_sweeps(config, &keeping.store, &keeping.keep, work);
    Ok(())
}

/// A dispatcher whose supervisors are processes of this machine; `registry` has this process's tunnels.
pub(crate) fn build(
    data: &DataDir,
    config: &Config,
    keeping: &Keeping,
    registry: Registry,
    supervisors: TaskScope,
) -> Result<Dispatcher> {
    let executable = std::env::current_exe().context("find our own executable")?;
    let backend = LocalBackend::new(data.path().to_owned(), executable, supervisors);
    Ok(Dispatcher::new(
        keeping.store.clone(),
        settings::dispatch(data, config),
        Arc::new(backend),
        Arc::new(keeping.images.clone()),
        config.services.service_domain.clone(),
        registry,
    ))
}
