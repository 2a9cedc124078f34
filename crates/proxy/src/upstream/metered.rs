//! An app's side of HTTP/2, whose frames are counted before anything answers them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use limits::{FrameLimits, FrameMeter, Rate, Side, Tick};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::dial::Io;

/// What may come at once.
const BURST: Duration = Duration::from_secs(10);

/// A connection that breaks off when the app sends more frames than it may that are neither answers nor data.
pub(super) struct MeteredIo {
    io: Box<dyn Io>,
    meter: FrameMeter,
}

impl MeteredIo {
    /// `control_frames_per_second`: 0 is no limit.
    pub(super) fn new(io: Box<dyn Io>, control_frames_per_second: u32) -> Self {
        let rate = Rate::per_second(control_frames_per_second, BURST);
        let limits = FrameLimits { control: rate, resets: rate };
        Self { io, meter: FrameMeter::new(Side::Server, limits) }
    }
}

impl AsyncRead for MeteredIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let n_before = buffer.filled().len();
        ready!(Pin::new(&mut *this.io).poll_read(cx, buffer))?;
        let passed = this.meter.received(&buffer.filled()[n_before..], Tick::now);
        Poll::Ready(passed.map_err(io::Error::other))
    }
}

impl AsyncWrite for MeteredIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut *this.io).poll_write(cx, bytes))?;
        this.meter.sent(n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut *this.io).poll_write_vectored(cx, slices))?;
        this.meter.sent(n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn t21_an_app_that_floods_with_frames_is_cut_off() {
        let (mut app, ours) = duplex(64 * 1024);
        let mut ours = MeteredIo::new(Box::new(ours), 10);
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[0; 8]].concat();
        app.write_all(&ping.repeat(100)).await.unwrap();
        let mut got = vec![0; 100 * ping.len()];
        assert_eq!(ours.read(&mut got).await.unwrap(), got.len());
        app.write_all(&ping.repeat(1)).await.unwrap();
        let error = ours.read(&mut got).await.unwrap_err();
        assert!(error.to_string().contains("too many control frames"), "{error}");
    }
}
