//! The client against a small API of our own: over sockets, with TLS, and in memory.

#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod api;
mod calls;
mod connections;
mod streams;
mod tcp;
mod tls;

/// Longest any of these tests waits for anything.
const BOUND: std::time::Duration = std::time::Duration::from_secs(10);
