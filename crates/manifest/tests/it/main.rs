//! Manifests as clients write them, as nobody should, and as chance makes them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod hostile;
mod properties;
mod reading;
