//! Why an image was not imported or found, in words for whoever imports it.

use std::io;
use std::path::PathBuf;

/// What went wrong with an image or the image store.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The archive could not be read.
    #[error("could not read the archive: {0}")]
    Read(#[source] io::Error),
    /// It is neither of the two kinds.
    #[error(
        "this is not an image archive: it has neither manifest.json (docker save) nor index.json (OCI layout)"
    )]
    NotAnArchive,
    /// It is one, but something in it is wrong.
    #[error("the image archive is broken: {0}")]
    Broken(String),
    /// A digest does not fit what it names.
    #[error("the image archive is damaged: {what} should have digest {expected} and has {found}")]
    Digest {
        /// Which part.
        what: String,
        /// As the archive says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// A layer tries to write outside itself, or does what no layer should.
    #[error("the image is refused: layer entry `{entry}` {problem}")]
    Hostile {
        /// The entry's path.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A limit by its name.
    #[error("the image is too large: more than {limit_name} = {limit}")]
    Limit {
        /// The limit's name.
        limit_name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// Built for another machine.
    #[error("the image is for {os}/{architecture} and this machine is linux/{here}")]
    Platform {
        /// Operating system of the image.
        os: String,
        /// Processor of the image, in Go's words.
        architecture: String,
        /// Processor of this machine, in Go's words.
        here: &'static str,
    },
    /// A name that cannot be one.
    #[error(
        "`{0}` cannot name an image: use REPOSITORY[:TAG], letters, digits and . _ - / with at most 255 bytes"
    )]
    Name(String),
    /// One name for several images.
    #[error("the archive holds {0} images; import it without a name, or save them one by one")]
    SeveralImages(usize),
    /// The disk is full.
    #[error("no space left on the disk of {}; nothing was imported", .0.display())]
    DiskFull(PathBuf),
    /// The store itself could not be read or written.
    #[error("could not {step} {}", .path.display())]
    Store {
        /// What was being done, as a verb.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The import was given up before its end.
    #[error("the import was interrupted")]
    Interrupted,
}

impl ImageError {
    /// A failure of the store at `path`; a full disk is told apart.
    pub(super) fn store(
        step: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::DiskFull(path),
            _ => Self::Store { step, path, source },
        }
    }

    /// Whether the archive or the name is at fault (as opposed to this machine).
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::DiskFull(_) | Self::Store { .. } | Self::Interrupted)
    }
}
