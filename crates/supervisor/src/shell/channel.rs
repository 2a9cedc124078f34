//! A descriptor of a command, read and written without blocking.

#![expect(unsafe_code, reason = "tokio has no safe way to wait for a terminal")]

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::fs::OFlags;
use tokio::io::unix::AsyncFd;

/// One end of a pipe, or the other end of a terminal.
#[derive(Debug)]
pub(super) struct Channel(AsyncFd<OwnedFd>);

impl Channel {
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        // Of this end alone: the command's own is another open file.
        let flags = rustix::fs::fcntl_getfl(&descriptor)?;
        rustix::fs::fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
        // SAFETY: an `OwnedFd` is open, and the same open file, for as long as it lives, and it lives in the `AsyncFd`.
        // Tokio has a safe way for pipes, and none for terminals.
        let registered = unsafe { AsyncFd::register(descriptor) };
        Ok(Self(registered?))
    }

    /// Reads some bytes; 0 at the end, which a terminal tells by an error (EIO).
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?)) {
                Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => {
                    return Poll::Ready(Ok(0));
                }
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    /// Writes some bytes.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    /// Gives the terminal another size; its foreground hears of that. No business of pipes.
    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // It fails where the terminal is gone.
        let _gone = rustix::termios::tcsetwinsize(self.0.get_ref(), size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_terminal_is_read_and_written_and_ends() {
        let terminal =
            rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY)
                .unwrap();
        rustix::pty::unlockpt(&terminal).unwrap();
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let peer = rustix::pty::ioctl_tiocgptpeer(&terminal, flags).unwrap();
        let channel = Channel::new(terminal).unwrap();
        channel.resize(81, 25);
        let size = rustix::termios::tcgetwinsize(&peer).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (81, 25));
        let n = poll_fn(|cx| channel.poll_write(cx, b"hi\n")).await.unwrap();
        assert_eq!(n, 3);
        let mut bytes = [0; 64];
        let n = poll_fn(|cx| channel.poll_read(cx, &mut bytes)).await.unwrap();
        assert_eq!(&bytes[..n], b"hi\r\n");
        drop(peer);
        let n = poll_fn(|cx| channel.poll_read(cx, &mut bytes)).await.unwrap();
        assert_eq!(n, 0);
    }
}
