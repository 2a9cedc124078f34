//! The body of an answer: a page of ours, or what the app sends, as it comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::access_log::AccessLine;
use crate::budgets::Open;
use crate::grants::Revoked;
use crate::headers;
use crate::upstream::PoolKey;
use crate::upstream::answer::{AnswerBody, AnswerError};
use crate::upstream::http2::StreamLease;
use crate::upstream::pool::Pool;

/// What [`Proxy::serve`](crate::Proxy::serve) answers with. Dropping it early closes the connection to the app.
#[derive(Debug)]
pub struct ProxyBody {
    content: Content,
    /// Ends an app's answer before its time.
    revoked: Option<Revoked>,
    /// Written when the body is dropped, with what was sent of it.
    line: Option<Box<AccessLine>>,
    /// Its place among the open requests, until it ends.
    open: Option<Open>,
}

#[derive(Debug)]
enum Content {
    Page(Option<Bytes>),
    Http(HttpAnswer),
    /// The lease goes with the body, and with it the request.
    Call(Incoming, StreamLease),
    Over,
}

/// What an app sends over HTTP/1.1, and where its connection goes at the end.
#[derive(Debug)]
struct HttpAnswer {
    body: AnswerBody,
    pool: Arc<Pool>,
    key: PoolKey,
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The app's connection ended in the middle, or the app broke the rules.
    #[error("the app's answer broke off")]
    App(#[source] AnswerError),
    /// The app reset the call; its code is in the source.
    #[error("the app's answer to a call broke off")]
    Call(#[source] hyper::Error),
    /// Whoever asked may not read on: signed out, not the owner any more, or the container was stopped.
    #[error("access was withdrawn")]
    Revoked,
}

impl ProxyBody {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::of(Content::Page(None), None)
    }

    /// A text of ours.
    pub(crate) fn page(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Page(Some(bytes.into())), None)
    }

    /// An app's answer. Its connection goes to the pool at its end; `revoked` ends it before.
    pub(crate) fn http(body: AnswerBody, pool: Arc<Pool>, key: PoolKey, revoked: Revoked) -> Self {
        Self::of(Content::Http(HttpAnswer { body, pool, key }), Some(revoked))
    }

    /// An app's answer to a call. `lease`: its place on a connection, given up at its end.
    pub(crate) fn call(body: Incoming, lease: StreamLease, revoked: Revoked) -> Self {
        Self::of(Content::Call(body, lease), Some(revoked))
    }

    fn of(content: Content, revoked: Option<Revoked>) -> Self {
        Self { content, revoked, line: None, open: None }
    }

    /// Keeps the request's place among the open ones until the body ends.
    pub(crate) fn hold(&mut self, open: Open) {
        self.open = Some(open);
    }

    /// Has the access line written when the body ends.
    pub(crate) fn log(&mut self, line: Option<Box<AccessLine>>) {
        self.line = line;
    }
}

impl Content {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match self {
            Self::Page(page) => return Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            Self::Http(answer) => Pin::new(&mut answer.body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(BodyError::App))),
            Self::Call(body, _lease) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(BodyError::Call))),
            Self::Over => return Poll::Ready(None),
        };
        polled.map(|frame| frame.map(|frame| frame.map(without_foreign)))
    }
}

impl Drop for HttpAnswer {
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
        let polled = this.content.poll(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            if let Some(line) = &mut this.line {
                line.add_sent(data.len());
            }
            if let Some(traffic) = this.open.as_ref().and_then(Open::traffic) {
                traffic.add_out(data.len());
            }
        }
        // Only a stream that makes us wait is worth a look at whether it may go on.
        if polled.is_pending()
            && let Some(revoked) = &mut this.revoked
            && Pin::new(revoked).poll(cx).is_ready()
        {
            this.content = Content::Over;
            return Poll::Ready(Some(Err(BodyError::Revoked)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Page(page) => page.is_none(),
            Content::Http(answer) => answer.body.is_end_stream(),
            Content::Call(body, _lease) => body.is_end_stream(),
            Content::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Page(page) => {
                SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64))
            }
            Content::Http(answer) => answer.body.size_hint(),
            Content::Call(body, _lease) => body.size_hint(),
            Content::Over => SizeHint::with_exact(0),
        }
    }
}
