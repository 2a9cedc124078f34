//! What the pages show, worked out of the records: pure, without a clock or a call.

pub(crate) mod address;
pub(crate) mod draft;
pub(crate) mod filter;
pub(crate) mod log_lines;
pub(crate) mod plot;
pub(crate) mod service;
pub(crate) mod shell;
pub(crate) mod size;
pub(crate) mod state;
pub(crate) mod time;
