//! Why an image was not imported or found, in words for whoever imports it.
//!
//! Each error is one line. What an archive says of itself (names, digests) is shown escaped and
//! shortened by [`OneLine`]; what else it holds is never quoted, as it may be no archive at all
//! but somebody's private file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Longest text from outside in an error, in characters; more is cut.
const SHOWN_CHARS_MAX: usize = 400;

/// What went wrong with an image or the image store.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The archive could not be read.
    #[error("could not read the archive")]
    Read(#[source] io::Error),
    /// It is neither of the two kinds.
    #[error(
        "this is no image archive: neither a docker-archive (as `docker save` writes) nor an OCI layout, as tar, plain or compressed with gzip or zstd"
    )]
    NotAnArchive,
    /// It is one, but something in it is wrong.
    #[error("the image archive is broken: {}", OneLine(.0))]
    Broken(String),
    /// A digest does not fit what it names.
    #[error(
        "the image archive is damaged: {} should have digest {expected} and has {found}",
        OneLine(.what)
    )]
    Digest {
        /// Which part.
        what: String,
        /// As the archive says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// A layer tries to write outside itself, or does what no layer should.
    #[error("the image is refused: layer entry `{}` {}", OneLine(.entry), OneLine(.problem))]
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
    #[error(
        "the image is for {}/{} and this machine is linux/{here}",
        OneLine(.os),
        OneLine(.architecture)
    )]
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
        "`{}` cannot name an image: use REPOSITORY[:TAG], letters, digits and . _ - / with at most 255 bytes",
        OneLine(.0)
    )]
    Name(String),
    /// One name for several images.
    #[error("the archive holds {0} images; import it without a name, or save them one by one")]
    SeveralImages(usize),
    /// The disk is full.
    #[error("no space left on the disk of {}; nothing was imported", OneLine(&.0.to_string_lossy()))]
    DiskFull(PathBuf),
    /// The store itself could not be read or written.
    #[error("could not {step} {}", OneLine(&.path.to_string_lossy()))]
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

    /// Entry number `n` of a tar file breaks the format. Nothing more: see [`super::tarball::Leash::explain`].
    pub(super) fn no_tar_entry(file: &str, n: u64) -> Self {
        Self::Broken(format!("entry {n} of {file} is no valid tar entry"))
    }

    /// Whether the archive or the name is at fault (as opposed to this machine).
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::DiskFull(_) | Self::Store { .. } | Self::Interrupted)
    }
}

/// Text from outside as part of a line: control characters escaped, its end cut.
struct OneLine<'t>(&'t str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, c) in self.0.chars().enumerate() {
            if n == SHOWN_CHARS_MAX {
                return f.write_str("…");
            }
            match c {
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_short_and_in_its_line() {
        let shown = ImageError::Name("a\n\u{1b}[31mb".to_owned()).to_string();
        assert!(shown.starts_with("`a\\n\\u{1b}[31mb` cannot name"), "{shown}");
        let shown = ImageError::Broken("é".repeat(5000)).to_string();
        assert!(shown.chars().count() < SHOWN_CHARS_MAX + 100 && shown.ends_with("é…"), "{shown}");
    }
}
