//! The tunnel over real sockets: Unix and TCP, one thread and several.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bulk;
mod ends;
mod faults;
mod messages;
mod relaying;
