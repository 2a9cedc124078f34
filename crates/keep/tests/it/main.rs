//! Volumes in directories that go away and in buckets, and trees in them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks;
mod bucket;
mod fixture;
mod s3;
mod sweeping;
mod trees;
mod volumes;
