//! Setting up `tracing` once per process.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// What to log and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A level, or directives such as `info,proxy=debug`.
    pub filter: String,
    /// Text or JSON.
    pub format: LogFormat,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not in `tracing`'s language.
    #[error(
        "log filter {filter:?} is not understood; use a level such as info or info,proxy=debug"
    )]
    Filter {
        /// As configured.
        filter: String,
        /// What the parser said.
        #[source]
        source: ParseError,
    },
    /// Set up twice in one process.
    #[error("logging was set up already")]
    AlreadySet(#[source] TryInitError),
}

/// Installs the process-wide subscriber, writing to stderr. Call once, early in `main`.
pub fn init(options: &LogOptions) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|source| TelemetryError::Filter { filter: options.filter.clone(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    }
    .map_err(TelemetryError::AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named() {
        let options = LogOptions { filter: "proxy=louder".to_owned(), ..LogOptions::default() };
        let error = init(&options).unwrap_err().to_string();
        assert!(error.contains("\"proxy=louder\""), "{error}");
    }
}
