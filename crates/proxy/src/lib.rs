//! Service hosts: from a request for a name to bytes of the app.
//!
//! What it is for: reading the host, finding the service, letting in who may come in, and carrying HTTP and WebSocket
//! both ways; and, over HTTP/1.1, the client's connection itself. What it does not do: accept connections, keep records, reach into containers; for the last two it states
//! what it needs ([`Directory`], [`Dial`]) and the executable plugs in who provides it.
//!
//! ```text
//! request ─► budgets ─► host ─► session ─► authorize ─► route ─► budgets ─► headers ─► upstream ─► relay ─► answer
//!             │429       │400    (ours      │403         │503     │429       (ours      │502       (streams)
//!             │          │404    taken out) │303         │410     │503       put in)    │503
//!             └──────────┴──────────────────┴────────────┴────────┴─────────────────────┴──► pages
//! ```
//!
//! Where to start reading: [`Proxy::serve_http1`], [`Proxy::serve`] and what it calls, then the modules in the order below.

pub mod config;
pub mod dial;
pub mod directory;
pub mod host;
mod invite;

mod client_body;
mod client_stream;
mod downstream;

mod budgets;
mod cors;
mod enter;
mod exchange;
mod front;
mod origin;
mod peer;
mod session;
mod sign_on;
mod steps;

mod authorize;
mod gate;
mod grants;
mod route;
mod tenant;
mod traffic;

mod grpc;
mod headers;
mod outgoing;
mod request_body;
mod upstream;

mod forward;
mod pump;
mod relay;
mod socket;
mod tcp;
mod uses;
mod visit;
mod visitors;

mod access_log;
mod body;
mod pages;
mod refusal;

mod proxy;

pub use body::{BodyError, ProxyBody};
pub use client_body::{ClientBody, ClientBodyError};
pub use config::{ProxyConfig, ProxyLimits, SessionKey};
pub use dial::{Dial, DialError, Io};
pub use directory::{
    Changed, Credential, Directory, DirectoryError, Guest, GuestPass, HostTarget, Principal,
    StartInfo, Target, TargetState,
};
pub use downstream::{Downstream, DownstreamLimits, Rewound};
pub use peer::{Farewell, Peer};
pub use proxy::Proxy;
pub use traffic::{PortCounted, PortKey};
pub use upstream::answer::AnswerError;
pub use uses::{ContainerUse, Uses};
pub use visitors::{Refused, Seen, Visit, Who};
