//! The store as the rest of Wharf uses it, over a real file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod codes;
mod collections;
mod containers;
mod contents;
mod fixture;
mod full_disk;
mod groups;
mod identities;
mod lists;
mod logs;
mod names;
mod permissions;
mod requests;
mod results;
mod shared;
mod tokens;
