//! One HTTP/1.1 connection and the task that drives it, which ends with it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

use super::http::Shared;
use crate::body::{BoxBody, BoxError};

/// Plain or with TLS.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

pub(super) struct Connection {
    sender: SendRequest<BoxBody>,
    _driver: AbortOnDropHandle<()>,
}

/// A call that got no answer.
pub(super) struct Unsent {
    /// Present if not one byte of it was written: it may go elsewhere.
    pub(super) request: Option<Request<BoxBody>>,
    pub(super) source: BoxError,
}

impl Connection {
    pub(super) async fn open(io: Box<dyn Socket>) -> io::Result<Self> {
        let (sender, driver) =
            http1::handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // What breaks here also breaks the call in flight, which reports it.
            let _reported = driver.await;
        });
        Ok(Self { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<BoxBody>,
    ) -> Result<Response<Incoming>, Unsent> {
        if let Err(closed) = self.sender.ready().await {
            return Err(Unsent { request: Some(request), source: closed.into() });
        }
        self.sender.try_send_request(request).await.map_err(|mut unsent| Unsent {
            request: unsent.take_message(),
            source: unsent.into_error().into(),
        })
    }
}

/// Sends one request that asks to switch protocols, on a connection that ends with what comes of it.
pub(super) async fn switch(
    io: Box<dyn Socket>,
    request: Request<BoxBody>,
) -> hyper::Result<Response<BoxBody>> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(io)).await?;
    // Without a handle: the connection is over with this answer, or handed to whoever asks the answer for it.
    tokio::spawn(async move {
        // What breaks here also breaks the request, which reports it.
        let _reported = driver.with_upgrades().await;
    });
    let answer = sender.send_request(request).await?;
    Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
}

/// An answer's body that holds its connection and gives it back at its end.
pub(super) struct PooledBody {
    body: Incoming,
    lease: Option<(Connection, Arc<Shared>)>,
}

impl PooledBody {
    pub(super) fn boxed(body: Incoming, connection: Connection, pool: Arc<Shared>) -> BoxBody {
        let mut body = Self { body, lease: Some((connection, pool)) };
        if body.body.is_end_stream() {
            body.give_back();
        }
        body.map_err(BoxError::from).boxed_unsync()
    }

    fn give_back(&mut self) {
        if let Some((connection, pool)) = self.lease.take() {
            pool.keep(connection);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => drop(self.lease.take()),
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            Some(Ok(_)) | None => self.give_back(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
