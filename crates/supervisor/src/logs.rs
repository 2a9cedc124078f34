//! The app's output and our own words, as files of timestamped lines.
//!
//! Each line begins `<RFC 3339, nine digits>Z `. Pure part: [`frame`]. Around it: [`stream`] copies
//! a pipe to a file, [`journal`] holds the supervisor's own words, [`follow`] serves files to
//! tunnels. Nothing here ever makes the app wait for a disk that is full: what cannot be kept is
//! counted and told once.

use tokio::sync::watch;

pub(crate) mod follow;
pub(crate) mod frame;
pub(crate) mod journal;
pub(crate) mod stream;

/// How far a log is; readers that follow it wait for the next change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// True once nothing more will come.
    pub(crate) is_closed: bool,
}

/// One end of a log's progress.
pub(crate) type ProgressSender = watch::Sender<Progress>;
/// The other.
pub(crate) type ProgressReceiver = watch::Receiver<Progress>;
