//! The demo image: a docker-archive made of our own executable and what it runs with.

mod archive;
mod elf;
mod files;

use std::io;
use std::path::{Path, PathBuf};

/// The name and tag the archive carries.
pub const NAME: &str = "wharf/demo:latest";

/// The port the demo listens on inside its container.
pub const PORT: u16 = 8080;

/// Why the image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of this process could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the demo image {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Our own executable is not in a form this module understands.
    #[error("cannot make the demo image: {} {problem}", path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Writes the demo image to `out` as a docker-archive: one layer with this process's executable
/// as `/bin/wharf`, its ELF interpreter, the shared libraries it has mapped, and a minimal `/etc`
/// and `/tmp`; command `/bin/wharf demo-app --port 8080`, user 65534.
///
/// Deterministic: the same executable and libraries give the same bytes. The file appears whole
/// or not at all. Blocking: it reads and writes some tens of megabytes.
///
/// # Errors
/// When a file cannot be read or written, or the executable is no 64-bit little-endian ELF.
pub fn build(out: &Path) -> Result<(), ImageError> {
    let files = files::of_this_process()?;
    archive::write(&files, out)
}

/// Lower-case hexadecimal of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
