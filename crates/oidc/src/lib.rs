//! OpenID Connect: a relying party's side of the authorization code flow (OpenID Connect Core 1.0 section 3.1), with PKCE.
//!
//! What it is for: finding a provider's endpoints and keys, the address that a browser is sent to, and changing the code
//! that comes back for a checked [`Person`]. What it does not do: records of users, cookies, pages; whoever calls keeps the
//! [`Attempt`] with the browser that began it, and decides what a person may.
//!
//! ```text
//!  begin ─► Attempt + address ─► (browser at the provider) ─► code ─► finish ─► token endpoint ─► ID token checked ─► Person
//!    └──── discovery, kept for an hour ──── keys, asked again for one that is not known ────────────────┘
//! ```
//!
//! Signatures are ring's; what is refused is listed in [`IdTokenFault`]. Every answer of the provider has a deadline and a
//! bound on its size, no redirect is followed, and nothing but https is spoken, except on loopback. Start reading at
//! [`Provider`], then `id_token`.

mod attempt;
mod config;
mod discovery;
mod error;
mod http;
mod id_token;
mod keys;
mod person;
mod provider;

pub use attempt::Attempt;
pub use config::{ConfigFault, ProviderConfig};
pub use error::ProviderError;
pub use id_token::{Expected, IdTokenFault, check};
pub use keys::KeySet;
pub use person::{Claims, Person};
pub use provider::{Provider, Returned};
