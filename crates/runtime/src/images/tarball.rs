//! Streams around tar archives: decompression by magic number, digests, limits, interruption.

use super::error::ImageError;
use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that one entry's headers (long names, attributes) may have. They are held in memory.
pub(super) const ENTRY_HEADER_BYTES_MAX: u64 = 1 << 20;

/// How a stream is compressed, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Looks at the beginning of a file; kinds that we cannot read are refused by name.
    pub(super) fn of(magic: &[u8]) -> Result<Self, ImageError> {
        let unsupported = |kind: &str| {
            Err(ImageError::Broken(format!(
                "it is compressed with {kind}; use gzip, zstd or no compression"
            )))
        };
        match magic {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => unsupported("xz"),
            [b'B', b'Z', b'h', ..] => unsupported("bzip2"),
            _ => Ok(Self::None),
        }
    }
}

/// Reads plain bytes from a stream that may be compressed.
pub(super) fn decompress<'r>(reader: impl Read + 'r) -> Result<Box<dyn Read + 'r>, ImageError> {
    let mut reader = BufReader::with_capacity(128 << 10, reader);
    let magic = reader.fill_buf().map_err(ImageError::Read)?;
    Ok(match Compression::of(magic)? {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader);
            Box::new(decoder.map_err(ImageError::Read)?)
        }
    })
}

/// How many more bytes may be read; shared with a [`Limited`] reader. An archive's reader is kept
/// on a short leash while it reads headers, which the `tar` crate holds in memory.
#[derive(Debug, Clone)]
pub(super) struct Leash(Rc<Held>);

#[derive(Debug)]
struct Held {
    bytes_left: Cell<u64>,
    has_failed: Cell<bool>,
}

impl Leash {
    pub(super) fn new() -> Self {
        Self(Rc::new(Held { bytes_left: Cell::new(u64::MAX), has_failed: Cell::new(false) }))
    }

    /// To be called before the next entry is asked for, when the last one was read to its end.
    pub(super) fn tighten(&self) {
        self.0.bytes_left.set(ENTRY_HEADER_BYTES_MAX);
    }

    /// To be called before an entry's contents are read.
    pub(super) fn loosen(&self) {
        self.0.bytes_left.set(u64::MAX);
    }

    fn pay_out(&self, n: usize) -> io::Result<usize> {
        let left = self.0.bytes_left.get().checked_sub(n as u64);
        self.0.bytes_left.set(left.ok_or_else(|| {
            io::Error::other(format!(
                "an entry's headers are longer than ENTRY_HEADER_BYTES_MAX = {ENTRY_HEADER_BYTES_MAX}"
            ))
        })?);
        Ok(n)
    }

    /// Remembers that the reader failed. An interrupted call is only repeated.
    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if done.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            self.0.has_failed.set(true);
        }
        done
    }

    /// What the `tar` crate's error means. The reader's own errors pass through it unchanged; its
    /// own ones quote the bytes of headers, so all that is left of them is `otherwise`.
    pub(super) fn explain(&self, error: io::Error, otherwise: ImageError) -> ImageError {
        if self.0.has_failed.get() { ImageError::Read(error) } else { otherwise }
    }
}

/// A reader that fails when it is asked for more than its leash allows.
#[derive(Debug)]
pub(super) struct Limited<R> {
    inner: R,
    leash: Leash,
}

impl<R> Limited<R> {
    pub(super) fn new(inner: R, leash: &Leash) -> Self {
        Self { inner, leash: leash.clone() }
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).and_then(|n| self.leash.pay_out(n));
        self.leash.note(read)
    }
}

impl<R: Seek> Seek for Limited<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.leash.note(self.inner.seek(position))
    }
}

/// Set when nobody waits for an import any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Computes SHA-256 of what passes, counts it, and stops when interrupted or over a limit.
pub(super) struct Metered<R> {
    inner: R,
    digest: ring::digest::Context,
    n_bytes: u64,
    bytes_max: u64,
    interrupt: Interrupt,
}

impl<R: Read> Metered<R> {
    pub(super) fn new(inner: R, bytes_max: u64, interrupt: &Interrupt) -> Self {
        let digest = ring::digest::Context::new(&ring::digest::SHA256);
        Self { inner, digest, n_bytes: 0, bytes_max, interrupt: interrupt.clone() }
    }

    /// Whether the stream was cut because of its length.
    pub(super) fn is_over_limit(&self) -> bool {
        self.n_bytes > self.bytes_max
    }

    /// Reads to the end and tells the digest of the whole stream, as hexadecimal digits.
    pub(super) fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(super::store::hex(self.digest.finish().as_ref()))
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupt.is_set() {
            return Err(io::Error::other("interrupted"));
        }
        let n = self.inner.read(buffer)?;
        self.digest.update(&buffer[..n]);
        self.n_bytes += n as u64;
        if self.is_over_limit() {
            return Err(io::Error::other("too long"));
        }
        Ok(n)
    }
}

impl<R> std::fmt::Debug for Metered<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

/// SHA-256 of some bytes, as hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    super::store::hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
