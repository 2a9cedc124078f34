//! The records, in SQLite or PostgreSQL: migrations, queries, change events. The only crate that knows SQL.
//!
//! What it is for: keeping requests, containers, groups, links, users, tokens and single-use codes so that
//! nothing acknowledged is lost, and telling whoever asks what changed. Constraints live in the
//! database; a step that touches several records is one transaction.
//!
//! What it does not do: decide what a record may say (that is `model`'s rules and `api`), or start containers
//! (`dispatch`). Who may see and write what is [`permissions`].
//!
//! ```text
//! readers (pool) ──► SQLite, WAL ◄── one writer ──► commit ──► Change to everybody listening
//!                      │ changes     └ `reserve`: room for endings on a full disk   ▲
//!                      └──────────── `feed`: those of other processes ──────────────┘
//! ```
//!
//! With PostgreSQL it is the same; there is one writer at a time over all processes, by a lock in the database.
//! `connection` has what queries are run with on either, `dialect` what the two say differently.
//!
//! Start reading at [`Store`], then [`requests`] and [`containers`].

pub mod access;
mod changes;
pub mod codes;
pub mod collections;
mod connection;
pub mod containers;
pub mod contents;
mod cordons;
mod database;
mod dialect;
mod error;
mod feed;
mod filter_sql;
pub mod groups;
pub mod identities;
pub mod images;
pub mod invitations;
pub mod links;
pub mod list;
pub mod logs;
pub mod merge;
mod migrations;
pub mod passwords;
pub mod permissions;
mod pools;
mod postgres;
mod random;
pub mod requests;
mod reserve;
pub mod schema;
mod sql;
mod sqlite;
pub mod targets;
pub mod tokens;
pub mod transfer;
pub mod users;
pub mod workflows;
mod writer;

pub use access::OpenedPorts;
pub use changes::{Change, ChangeKind, Changes, Notice};
pub use codes::{CodeGrant, NewCode, Purpose};
pub use collections::{
    CollectionChange, CollectionContent, CollectionsSwept, NameClash, NewCollection,
};
pub use containers::{ContainerToken, Leavings};
pub use contents::{Contents, ContentsQuery, KindQuery, Scope};
pub use database::{Clock, Store, StoreOptions};
pub use error::StoreError;
pub use identities::{Admission, Admitted, UserIdentity};
pub use images::{NewImage, StoredImage};
pub use invitations::{Admittance, Door, GuestSession, Invitation, InvitedPort, NewInvitation};
pub use list::{Page, Reader};
pub use logs::{NewLog, etag};
pub use merge::Merge;
pub use permissions::Rights;
pub use requests::Resolved;
pub use schema::Resource;
pub use targets::{TargetKey, TargetRecord};
pub use tokens::{Identity, NewToken};
pub use users::NewUser;
pub use writer::WritesCounted;
