//! Task scopes, shutdown signals, backoff and clocks.
