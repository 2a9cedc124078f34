//! Requests to servers that are not ours: object stores, registries of images, providers of identities.
//!
//! What it is for: one HTTPS client for all of them, with the machine's roots of trust, kept
//! connections, and a deadline on each wait. What it does not do: it follows no redirect, keeps no
//! cookie, tries nothing again and knows no credentials; whoever asks knows what that is worth.
//!
//! ```text
//! Outbound::send ─► kept or new connection (connect deadline) ─► head (answer deadline) ─► body (silence deadline)
//! ```
//!
//! Start reading at [`Outbound`].

mod body;
mod connector;
mod error;
mod outbound;
mod trust;

pub use body::AnswerBody;
pub use error::OutboundError;
pub use outbound::{Bounds, Outbound, is_loopback};
pub use trust::{RootsError, TlsTrust};
