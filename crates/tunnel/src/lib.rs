//! The tunnel: one connection per supervisor and controller, carrying many typed streams.
//!
//! The supervisor dials, both ends set up TLS 1.3 and prove on it that they know the secret of this
//! launch ([`secure`]), then either end opens streams to the other: app connections, logs, control.
//! The tunnel moves bytes; it knows nothing of HTTP, containers or records.
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

pub mod descriptors;
mod driver;
mod error;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod handover;
mod handshake;
mod kind;
pub mod limits;
pub mod lines;
mod mux;
mod outbox;
mod queue;
mod registry;
mod relay;
pub mod secure;
mod shared;
mod stream;

pub use driver::{Driver, start};
pub use error::{CloseReason, GoAway, OpenError, StreamError, Violation};
pub use handshake::{HandshakeError, LaunchSecret, PROTOCOL_VERSION};
pub use kind::{LogQuery, LogStream, RefuseReason, StreamKind};
pub use limits::{Limits, Role};
pub use registry::{DuplicateTunnel, Registry, RegistryEvent, RegistryEvents};
pub use relay::{Relayed, relay};
pub use secure::{Identity, SecureIo, Transport};
pub use shared::{Incoming, Request, Tunnel};
pub use stream::Stream;
