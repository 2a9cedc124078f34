//! The body of an answer, which may not fall silent.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::OutboundError;

/// The body of an answer; errs when the server is silent for longer than it may be.
pub struct AnswerBody {
    inner: Incoming,
    server: Authority,
    silence: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl AnswerBody {
    pub(crate) fn new(inner: Incoming, server: Authority, silence: Duration) -> Self {
        Self { inner, server, silence, alarm: Box::pin(sleep(silence)) }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let next = Instant::now() + self.silence;
            self.alarm.as_mut().reset(next);
            let server = &self.server;
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|source| OutboundError::Broken {
                    server: server.clone(),
                    source: source.into(),
                })
            }));
        }
        ready!(self.alarm.as_mut().poll(cx));
        let error = OutboundError::TimedOut { server: self.server.clone(), bound: self.silence };
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
