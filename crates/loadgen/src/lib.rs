//! What the benchmarks need beside wrk and h2load: a load generator and an upstream.
//!
//! `loadgen` opens WebSockets, event streams and bulk transfers and counts what wrk cannot: messages
//! echoed, events and their age, sockets that are held, stalled, or closed by the far side.
//! `bench-upstream` is the app that all of it reaches, in a container or beside it, cheap enough not
//! to be the thing that is measured. This library is what both speak: the few words of HTTP/1.1 and
//! WebSocket that two ends of our own need. It is no client for the world and no product code; how
//! figures are taken and compared is told in `bench/`.
//!
//! Start reading at the two `main.rs`, which list what each can do.

pub mod clock;
pub mod head;
pub mod websocket;

/// Bytes moved by one read or write of a bulk transfer; what the proxies move, too.
pub const BULK_CHUNK_BYTES: usize = 256 * 1024;
