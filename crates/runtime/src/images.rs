//! Images on this machine: imported from archives, one directory per layer, ready for an overlay.
//!
//! ```text
//! <dir>/refs.json            names: {"busybox:latest": "sha256:..."}, replaced atomically
//! <dir>/images/<hex>.json    one record per image, <hex> being the digest of its configuration
//! <dir>/layers/<hex>/fs/     one layer, <hex> being its diff_id, in overlayfs form; its size beside it
//! <dir>/tmp/                 what is being imported; emptied when the store is opened
//! ```
//! A layer is unpacked in `tmp/`, made durable, then renamed; records name only whole layers. So a
//! crash leaves nothing but rubbish in `tmp/`. A running container holds a shared lock on its
//! layers, and `remove` keeps layers that are locked.

mod archive;
mod error;
mod import;
mod layer;
mod manifest;
mod name;
mod record;
mod store;
mod tarball;

pub use error::ImageError;
pub use import::{Imported, Progress};
pub use store::{Image, ImageStore, ImageSummary};
