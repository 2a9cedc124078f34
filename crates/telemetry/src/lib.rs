//! Logs and their redaction.
