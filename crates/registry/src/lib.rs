//! Images out of registries (OCI distribution specification 1.1, and Docker's before it).
//!
//! What it is for: a reference becomes an archive, an OCI layout of the one image in it that suits
//! this machine, every byte of which has the digest that it was asked for by. What it does not do: it
//! unpacks nothing, keeps nothing, pushes nothing, and runs no helper that holds credentials.
//!
//! ```text
//! Reference ─► manifest (of an index, this machine's) ─► blobs, checked ─► Pulled ─► tar stream
//!               └ 401: challenge ─► Basic, or a token of the realm
//! ```
//!
//! Start reading at [`pull`].

mod archive;
mod blob;
mod challenge;
mod credentials;
mod digest;
mod error;
mod manifest;
mod pull;
mod reference;
mod session;

pub use credentials::{Login, Logins};
pub use error::PullError;
pub use pull::{Limits, Platform, Progress, Pulled, pull};
pub use reference::Reference;
