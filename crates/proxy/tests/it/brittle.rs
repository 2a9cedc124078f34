//! A stream through a tunnel that breaks between two requests, unnoticed until somebody writes.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Carries one write; the next fails, and nothing comes back.
pub(crate) struct Brittle {
    stream: TcpStream,
    is_broken: bool,
}

impl Brittle {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, is_broken: false }
    }
}

impl AsyncRead for Brittle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Brittle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        if self.is_broken {
            return Poll::Ready(Err(Error::from(ErrorKind::ConnectionAborted)));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.is_broken = written.is_ready();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
