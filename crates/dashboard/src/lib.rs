//! The pages a person opens: services with their published ports to click, one service, launching one, host
//! names, data, the account, what administrators look after, signing in and out.
//!
//! What it is for: server-rendered HTML that works without script; a small script of our own adds
//! live updates. What it does not do: it keeps no state and no user's data, reads no database and
//! decides nothing about permissions. Every fact comes from the API, asked with the signed-in
//! person's own token through [`client::Client`].
//!
//! ```text
//!  browser ─► guard (fetch metadata, headers) ─► session (sealed cookie) ─► page ─► upstream ─► API
//!                                                                      view ◄─────────┘
//! ```
//!
//! Rules that hold everywhere, each with a test: nothing of a record is written unescaped; a link
//! leads to our own pages or to a service host of ours; every change is a POST with the session's
//! form token; no token is ever in an address or a page; nothing is loaded from elsewhere.
//!
//! Start reading at [`router`], then `pages/services.rs`.

mod app;
mod assets;
mod attempt;
mod compress;
mod config;
mod guard;
mod html;
mod pages;
mod session;
mod upstream;
mod view;

pub use crate::config::{DashboardConfig, Template, Transport};
pub use app::router;
