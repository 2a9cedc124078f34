//! The demo's promises: the app over real sockets, and the image from archive to running program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod app;
mod image;
