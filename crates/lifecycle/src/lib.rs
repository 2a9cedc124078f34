//! How work starts, waits and ends: task scopes, the shutdown ladder, signals, backoff, pace, bounded waits,
//! the limit on open files.
//!
//! Every task of the product has an owner, a [`TaskScope`], which names it, reports its panic and
//! waits for it at shutdown. A process comes down by the [`Ladder`]:
//!
//! ```text
//! serving ──stop accepting──▶ draining ──grace over or idle──▶ cancelled ──bound over or idle──▶ report
//! ```
//!
//! This crate knows nothing of HTTP, records or containers. Start reading at [`scope`].

pub mod backoff;
pub mod descriptors;
pub mod ladder;
pub mod pace;
pub mod scope;
pub mod signals;
pub mod wait;

pub use backoff::{Backoff, BackoffPolicy};
pub use ladder::{Ladder, LadderReport};
pub use pace::{Pace, Rest};
pub use scope::{TaskScope, TasksLeft};
pub use signals::{Signals, StopSignal, UpgradeSignal};
pub use tokio_util::sync::CancellationToken;
pub use wait::{TimedOut, wait_for, wait_until};
