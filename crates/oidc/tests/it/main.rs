//! The checks of ID tokens against hostile ones, and the whole flow against a provider on loopback that misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod fake_provider;
mod flow;
mod hostile_tokens;
mod signer;
