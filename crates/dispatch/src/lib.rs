//! Turns queued containers into supervisors and keeps the records true.
//!
//! ```text
//!         records ──▶ ┌────────────┐    plan     ┌─────────┐ supervise DIR   ┌────────────┐
//!  store ◀────────────│ dispatcher │───────────▶ │ backend │───────────────▶ │ supervisor │
//!   ▲ │ change events └────────────┘  (pure,     └─────────┘   deaths        └─────┬──────┘
//!   │ │                               reconcile)                                   │
//!   │ └ who is not wanted ▶ orders ──▶ ┌─────────┐                                  │
//!   └────────── states ─────────────── │ control │ ◀── tunnel, let in by acceptor ──┘
//!                                      └─────────┘
//! ```
//!
//! The upper half runs in one process at a time (`turn`), the lower half in every controller.
//!
//! Reconciled, not reacted: every event only says "look again", and each look compares all records
//! with all supervisors. So a restart, a lost event or a crash in the middle of a launch need no
//! code of their own. Nothing here runs containers, knows a runtime, or carries service traffic.
//! Start reading at [`reconcile`], whose table is the whole behaviour; then `dispatcher`.

pub mod addresses;
pub mod admission;
pub mod backend;
pub mod config;
pub mod images;
pub mod layout;
mod lives;
pub mod queue;
pub mod reconcile;

mod acceptor;
mod control;
mod dispatcher;
mod launch;
mod launch_spec;
mod orders;
mod recorder;
mod silence;
mod starts;
mod stops;
mod turn;
mod wakes;
mod ways;

pub use acceptor::{AdmitError, Admitted, TunnelAcceptor};
pub use backend::local::LocalBackend;
pub use config::DispatchConfig;
pub use dispatcher::Dispatcher;
pub use images::{ImageResolver, LaunchImage};
pub use queue::{QueueEntry, QueueReport};
pub use starts::{Starts, StartsCounted};
pub use turn::Heartbeat;
