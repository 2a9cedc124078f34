//! The API through its router in memory; `wire` adds a real socket.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a test that cannot go on has failed; literals read best by value; tables are long"
)]

mod auth;
mod blocks;
mod collections;
mod containers;
mod contents;
mod events;
mod fixture;
mod groups;
mod handoff;
mod lineage;
mod links;
mod merge;
mod metrics;
mod passwords;
mod permissions;
mod requests;
mod site;
mod streams;
mod users;
mod webdav;
mod wire;
