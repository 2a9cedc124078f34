//! Typed calls of the API: over HTTP from the command line, or straight into a router in memory
//! from the dashboard, with the same types and the same errors.
//!
//! One [`Client`] speaks to one API with one token; clones share connections, and
//! [`Client::with_token`] acts for somebody else over the same ones. Bodies stream: an image is
//! never held in memory, logs and events arrive as they happen. Every wait has a deadline
//! ([`Deadlines`]). This crate reads no environment and no credentials; `config` does.
//!
//! Start reading at [`Client`]; one file per kind of record follows.

pub use bytes::Bytes;
pub use lives::{Connections, ContainerLife};

mod access;
mod body;
mod brief;
mod call;
mod collections;
mod error;
mod events;
mod handoff;
mod images;
mod invitations;
mod links;
mod list;
mod lives;
mod logs;
mod metrics;
mod openid;
mod requests;
mod shell;
mod status;
mod tcp;
mod transport;
mod upgrade;
mod users;
mod visitors;

pub use access::{Holder, MayOpen, OpenedPorts};
pub use body::{BodyStream, Pieces, RequestBody};
pub use call::{Client, Deadlines};
pub use collections::{CollectionContent, CollectionSummary, LogEntry};
pub use error::{ClientError, ErrorKind};
pub use events::{ApiEvent, EventStream};
pub use handoff::{LoginLink, LoginSession};
pub use images::{ImageSummary, UploadProgress};
pub use invitations::{GuestSession, Invitation, InvitedPort, NewInvitation};
pub use list::{ListQuery, Page};
pub use logs::{LogSelection, LogStreamName};
pub use openid::{OpenIdAttempt, OpenIdOutcome, OpenIdReturn, SignInMethods};
pub use outbound::TlsTrust;
pub use requests::NewRequest;
pub use shell::{ShellReceiver, ShellSender};
pub use status::{QueueEntry, ServerStatus};
pub use upgrade::ByteStream;
pub use users::{NewToken, NewUser, UserChange, UserIdentity};
