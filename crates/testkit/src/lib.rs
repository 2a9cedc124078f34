//! A whole Wharf for tests: the real executable, real containers, a data folder and a port of its
//! own, and a look for leftovers at the end.
//!
//! Everything here is seen from outside, as a user or an attacker would: over sockets, the command
//! line and `/proc`. No product crate is among the dependencies, so nothing of the product can
//! vouch for itself. The app that runs inside the containers is `testkit-app` (src/bin). Start
//! reading at [`Wharf`], then [`Service`]; `tests/it` shows their use.

#![expect(clippy::print_stderr, reason = "a failing test shows what the product printed")]

pub mod http;
pub mod images;
pub mod leaks;
pub mod load;
pub mod openid;
pub mod pattern;
pub mod postgres;
mod process;
pub mod s3_server;
mod service;
mod wait;
pub mod websocket;
mod wharf;

pub use process::Process;
pub use s3_server::S3Server;
pub use service::{Launch, Service};
pub use wait::{BOUND, wait_for, wait_for_some};
pub use wharf::{Finished, Options, Wharf, kill};
