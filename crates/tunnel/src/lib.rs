//! The tunnel: one connection per supervisor and controller, carrying many typed streams.
//!
//! The supervisor dials, both ends prove that they know the secret of this launch
//! ([`handshake`]), then either end opens streams to the other: app connections, logs, control.
//! The tunnel moves bytes; it knows nothing of HTTP, containers or records, and it does not
//! encrypt: where the connection leaves the machine, it runs over TLS.
//!
//! ```text
//!  Stream, Tunnel, Incoming ─┐                         ┌─ Stream, Tunnel, Incoming
//!        (any task)          ▼                         ▼
//!                  Mutex<Mux>: streams, credit,   Mutex<Mux>
//!                  one outbox for all streams
//!                            ▲                         ▲
//!                         Driver ◄── one connection ──► Driver
//! ```
//!
//! Every stream has its own credit and there is none for the whole connection, so a reader that
//! stalls stops nobody else. Frames of many streams leave in one write. Everything a peer can do
//! has a limit ([`limits`]); a peer that breaks one loses the tunnel ([`Violation`]).
//!
//! Start reading at `mux`, the state machine without input or output; then `driver`.

mod driver;
mod error;
mod frame;
pub mod handover;
pub mod handshake;
mod kind;
pub mod limits;
mod mux;
mod outbox;
mod queue;
mod registry;
mod relay;
mod shared;
mod stream;

pub use driver::{Driver, start};
pub use error::{CloseReason, GoAway, OpenError, StreamError, Violation};
pub use handshake::{HandshakeError, LaunchSecret, handshake_controller, handshake_supervisor};
pub use kind::{LogQuery, LogStream, RefuseReason, StreamKind};
pub use limits::{Limits, Role};
pub use registry::{DuplicateTunnel, Registry, RegistryEvent, RegistryEvents};
pub use relay::{Relayed, relay};
pub use shared::{Incoming, Request, Tunnel};
pub use stream::Stream;
