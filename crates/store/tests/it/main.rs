//! The store as the rest of Wharf uses it: over a real file, or over the PostgreSQL server that `WHARF_TEST_POSTGRES` names.
//! What is in `files` and `full_disk` is about files alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod codes;
mod collections;
mod containers;
mod contents;
mod cordons;
mod files;
mod fixture;
mod forms;
mod full_disk;
mod groups;
mod identities;
mod lists;
mod lives;
mod logs;
mod merge;
mod names;
mod permissions;
mod place;
mod requests;
mod results;
mod shared;
mod tokens;
mod transfer;
mod users;
