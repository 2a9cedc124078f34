//! Writing logs, keeping secrets out of them, and figures in the form that Prometheus reads.
//!
//! Logs go to stderr: text for people, one JSON object per line for collectors. What must never be
//! logged (tokens, cookies, query strings) goes through [`redact`]. This crate reads no
//! environment and no file: the level comes from `config`.

pub mod exposition;
pub mod logs;
pub mod redact;

pub use logs::{LogFormat, LogOptions, TelemetryError, init};
pub use redact::{RedactedUrl, redact_text};
