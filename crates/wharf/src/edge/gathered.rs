//! Small writes of one connection, put together into one.
//!
//! hyper writes each answer of an HTTP/2 connection by itself and flushes behind each, also where many are there at once:
//! a record of TLS and a system call for each. What is small waits here for what else its turn brings.

use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// As much as one record of TLS takes. What is larger costs a write of its own anyway.
const BYTES_MAX: usize = 16 * 1024;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Gathered(BytesMut);

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has_room(&self, n_bytes: usize) -> bool {
        self.0.len() + n_bytes <= BYTES_MAX
    }

    /// Puts bytes behind all others.
    pub(super) fn put(&mut self, slices: &[IoSlice<'_>]) {
        if self.0.is_empty() {
            self.0.reserve(BYTES_MAX);
        }
        slices.iter().for_each(|slice| self.0.extend_from_slice(slice));
    }

    /// Writes all of it. An idle connection holds no room.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.0))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.0.advance(n),
            }
        }
        self.0 = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}
