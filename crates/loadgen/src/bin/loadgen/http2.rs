//! WebSockets over HTTP/2 (RFC 8441): many on one connection, so that a few descriptors are enough.

use std::future::poll_fn;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::target::{Io, Target};

/// WebSockets on one connection; servers rarely allow more streams.
const STREAMS_PER_CONNECTION: usize = 100;

/// Opens `n` WebSockets over as few connections as that takes.
pub(crate) async fn websockets(target: &Target, path: &str, n: usize) -> Result<Vec<Box<dyn Io>>> {
    let mut sockets = Vec::with_capacity(n);
    while sockets.len() < n {
        let mut sender = connect(target).await?;
        for _stream in 0..STREAMS_PER_CONNECTION.min(n - sockets.len()) {
            sockets.push(open(&mut sender, target, path).await?);
        }
    }
    Ok(sockets)
}

async fn connect(target: &Target) -> Result<SendRequest<Empty<Bytes>>> {
    let io = TokioIo::new(target.connect(None).await?);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
    // Lives as long as its streams do, and they as long as this process.
    tokio::spawn(connection);
    Ok(sender)
}

async fn open(
    sender: &mut SendRequest<Empty<Bytes>>,
    target: &Target,
    path: &str,
) -> Result<Box<dyn Io>> {
    let scheme = if target.args.ca.is_some() { "https" } else { "http" };
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("{scheme}://{}{path}", target.args.host))
        .header("sec-websocket-version", "13");
    for line in &target.args.header {
        let (name, value) = line.split_once(':').context("--header is Name: value")?;
        request = request.header(name, value.trim());
    }
    let mut request = request.body(Empty::new())?;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    poll_fn(|cx| sender.poll_ready(cx)).await?;
    let response = sender.send_request(request).await?;
    ensure!(response.status() == StatusCode::OK, "wanted 200, got {}", response.status());
    Ok(Box::new(TokioIo::new(hyper::upgrade::on(response).await?)))
}
