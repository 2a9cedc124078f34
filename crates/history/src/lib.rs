//! Figures of a container over time: what it used, what was asked of it.
//!
//! A history is a file of fixed size with one ring of slots for each [`Span`] that is shown. Whoever measures adds
//! what it saw since the last time; every ring takes it up. So a history costs its writer no memory, outlives it, and
//! several writers (controllers, which each see their own requests) add up in one file.
//!
//! ```text
//!  tag │ 15 min: 180 slots of 5 s │ 1 h: 180 of 20 s │ 24 h: 288 of 5 min │ 7 d: 336 of 30 min
//!      └ a slot: when it begins (0: never written), then the figures, 8 bytes each
//! ```
//!
//! A slot that holds another time than the one asked for is a gap, and is told as one, never as zero.
//!
//! Not done here: no measuring, no task, no names of files. Start reading at [`file`], then the two kinds of figures.

pub mod file;
pub mod latency;

mod span;
mod traffic;
mod usage;

pub use file::{Figures, History, Series};
pub use span::Span;
pub use traffic::Traffic;
pub use usage::Usage;

/// Seconds between two measurements: the length of the shortest slots. Whoever measures does so when a slot ends.
pub const PERIOD_S: u64 = 5;
