//! Taking another process's place without losing a request.
//!
//! ```text
//! new process                                   old process
//!   ── take over (version) ───────────────────▶   at run/replace/NAME.sock
//!   ◀── what there is to inherit, descriptors ──   listening sockets, the seat
//!   builds every role, waits for tunnels           serves on
//!   accepts, writes its ready file
//!   ── serving ───────────────────────────────▶   accepts nothing more, stops dispatching,
//!                                                  keeps what is open until it ends
//! ```
//!
//! Each message is a length (four bytes, big-endian) and as much JSON; a descriptor comes with one byte of its own. The
//! directory is ours alone (0700), and both ends ask the kernel who the other is. Until the last message the old process
//! goes on as if nothing had happened: a new one that fails is only an entry in its log. An old one that does not wait
//! any more says so; one that vanishes without a word was killed, and the new one goes on alone.

mod door;
mod predecessor;
mod relaunch;
pub(crate) mod wire;

pub(crate) use door::{Door, Legacy};
pub(crate) use predecessor::{Inherited, Predecessor};
pub(crate) use relaunch::Relaunch;

#[cfg(test)]
mod tests;
