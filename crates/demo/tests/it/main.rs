//! The demo's promises: the app over real sockets, and the image from archive to running program.

mod app;
mod image;
