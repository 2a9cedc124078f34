//! The body of an answer: a page of ours, or what the app sends, as it comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::access_log::AccessLine;
use crate::headers;
use crate::standing::Revoked;
use crate::upstream::PoolKey;
use crate::upstream::answer::{AnswerBody, AnswerError};
use crate::upstream::pool::Pool;

/// What [`Proxy::serve`](crate::Proxy::serve) answers with. Dropping it early closes the connection to the app.
#[derive(Debug)]
pub struct ProxyBody {
    content: Content,
    /// Written when the body is dropped, with what was sent of it.
    line: Option<Box<AccessLine>>,
}

#[derive(Debug)]
enum Content {
    Page(Option<Bytes>),
    App(AppBody),
}

/// What an app sends, and where its connection goes at the end.
#[derive(Debug)]
struct AppBody {
    body: AnswerBody,
    pool: Arc<Pool>,
    key: PoolKey,
    revoked: Option<Revoked>,
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The app's connection ended in the middle.
    #[error("the app's answer broke off")]
    App(#[source] AnswerError),
    /// Whoever asked may not read on: signed out, not the owner any more, or the container was stopped.
    #[error("access was withdrawn")]
    Revoked,
}

impl ProxyBody {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self { content: Content::Page(None), line: None }
    }

    /// A text of ours.
    pub(crate) fn page(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Page(Some(bytes.into())), line: None }
    }

    /// An app's answer. Its connection goes to the pool at its end; `revoked` ends it before.
    pub(crate) fn app(
        body: AnswerBody,
        pool: Arc<Pool>,
        key: PoolKey,
        revoked: Option<Revoked>,
    ) -> Self {
        Self { content: Content::App(AppBody { body, pool, key, revoked }), line: None }
    }

    /// Has the access line written when the body ends.
    pub(crate) fn logged(mut self, line: Option<Box<AccessLine>>) -> Self {
        self.line = line;
        self
    }
}

impl AppBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => {
                Poll::Ready(Some(frame.map(without_foreign).map_err(BodyError::App)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            // Only a stream that makes us wait is worth a look at whether it may go on.
            Poll::Pending => match &mut self.revoked {
                Some(revoked) => Pin::new(revoked).poll(cx).map(|()| Some(Err(BodyError::Revoked))),
                None => Poll::Pending,
            },
        }
    }
}

impl Drop for AppBody {
    fn drop(&mut self) {
        if let Some(connection) = self.body.take_connection() {
            Pool::put(&self.pool, self.key, connection);
        }
    }
}

/// Trailers are headers that come late, and get the same treatment.
fn without_foreign(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::prepare_answer_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = match &mut this.content {
            Content::Page(page) => Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            Content::App(app) => app.poll(cx),
        };
        if let (Some(line), Poll::Ready(Some(Ok(frame)))) = (&mut this.line, &polled)
            && let Some(data) = frame.data_ref()
        {
            line.add_sent(data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Page(page) => page.is_none(),
            Content::App(app) => app.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Page(page) => {
                SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64))
            }
            Content::App(app) => app.body.size_hint(),
        }
    }
}
