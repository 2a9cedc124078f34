//! Against a server that answers what a test says: what no real registry does on request.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asking;
mod server;
