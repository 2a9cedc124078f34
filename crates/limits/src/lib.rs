//! How much of something one peer may have: rates, counts, shares, stalls, frames of HTTP/2, log lines.
//!
//! What it is for: the arithmetic of fairness, as small values that whoever serves a peer keeps beside what it knows of
//! it. What it does not do: name a limit, read the config, answer anybody; no sockets, no tasks, and but for [`Stall`]
//! no clock: time comes in as a [`Tick`].
//!
//! ```text
//! by what key?          how often?            how many at once?          for how long?
//! AddressKey ─► Table ─► Bucket, by a Rate     Count, Shares              Stall
//!                        Rivals, FrameMeter, Lines
//! ```
//!
//! Where to start reading: [`Bucket`], then [`Table`].

mod address;
mod bucket;
mod count;
mod frames;
mod lines;
mod miss;
mod rivals;
mod stall;
mod table;
mod tick;

pub use address::AddressKey;
pub use bucket::{Bucket, Rate};
pub use count::{Count, Shares};
pub use frames::{Flood, FrameLimits, FrameMeter, Side};
pub use lines::Lines;
pub use miss::Miss;
pub use rivals::Rivals;
pub use stall::Stall;
pub use table::{Forget, Table};
pub use tick::Tick;
