//! Runs one container and carries its traffic: `wharf supervise DIR`, one process per container.
//!
//! The dispatcher prepares a directory (what to run, a secret) and starts this process in it. From
//! then on the two only talk through the tunnel and through `state.json`, so either may die without
//! the other:
//!
//! ```text
//!            spec.json, secret                       control stream: state ▲ ▼ stop, ack
//! dispatcher ────────────────▶ ┌───────────────────────────────────────────────┐
//!                              │ driver ── machine (pure) ── state.json         │ tunnel ◀──▶ controller
//!                              │ gateway ── app streams ── dialer ──┐  logs     │
//!                              └──────────────────────────────┬─────┼───▲───────┘
//!                                                    runtime  ▼     ▼   │ pipes
//!                                                       the container, ports inside it
//! ```
//!
//! Not done here: no HTTP, no records, no decision who may connect (the controller asks only for
//! what it has authorised), no restart of a container. Start reading at [`machine`], then `driver`.

pub mod machine;
pub mod words;

mod bridge;
mod busy;
mod container;
mod driver;
mod files;
mod gateway;
mod inputs;
mod launch;
mod logs;
mod memory;
mod output;
mod process;
mod readiness;
mod shell;
mod usage;

pub use process::{run, sweep};
