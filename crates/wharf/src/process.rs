//! What every long-lived role does the same way: its runtime, its logs, its word to the person and its ready file.

use crate::secrets::write_private;
use anyhow::{Context, Result};
use config::Environment;
use lifecycle::Signals;
use std::io::Write;
use std::path::Path;

/// The main runtime: API, pages, dispatch.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)))
        .thread_name("wharf")
        .enable_all()
        .build()
        .context("start the runtime")
}

/// Logs go to stderr; `WHARF_LOG` wins over the config.
pub(crate) fn start_logs(environment: &Environment, config: &config::Log) -> Result<()> {
    let format = match config.format {
        config::LogFormat::Text => telemetry::LogFormat::Text,
        config::LogFormat::Json => telemetry::LogFormat::Json,
    };
    let filter = environment.log_filter.as_ref().unwrap_or(&config.level).clone();
    Ok(telemetry::init(&telemetry::LogOptions { filter, format })?)
}

/// Does `work`, unless a signal asks the process to stop meanwhile: then it is dropped, and there is nothing.
pub(crate) async fn unless_stopped<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    tokio::select! {
        done = work => done.map(Some),
        signal = signals.next() => {
            tracing::info!(?signal, "asked to stop before everything was ready");
            Ok(None)
        }
    }
}

/// Writes the file that tells that everything is ready, as JSON.
pub(crate) fn write_ready_file(path: &Path, about: &serde_json::Value) -> Result<()> {
    write_private(path, about.to_string().as_bytes())
}

/// Prints for the person who started us; a closed terminal is no reason to stop.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    #[tokio::test]
    async fn a_signal_ends_what_takes_long() {
        let mut signals = Signals::listen().unwrap();
        let done = unless_stopped(&mut signals, async { Ok(7) }).await.unwrap();
        assert_eq!(done, Some(7));
        kill_process(getpid(), Signal::TERM).unwrap();
        let stopped = unless_stopped(&mut signals, std::future::pending::<Result<()>>()).await;
        assert_eq!(stopped.unwrap(), None);
    }
}
