//! Volumes in directories that go away, and trees in them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks;
mod fixture;
mod sweeping;
mod trees;
