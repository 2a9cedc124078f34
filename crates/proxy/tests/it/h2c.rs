//! HTTP/2 frame by frame on both sides of the proxy: an app that hands each stream to its test, and a client.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, request};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::{BOUND, World};

/// A stream as it reached an app.
pub(crate) struct Call {
    /// Which connection it came over, from 0.
    pub(crate) connection: usize,
    pub(crate) head: request::Parts,
    pub(crate) body: RecvStream,
    pub(crate) reply: SendResponse<Bytes>,
}

impl Call {
    /// Begins the answer.
    pub(crate) fn answer(&mut self) -> SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/grpc");
        self.reply.send_response(head.body(()).unwrap(), false).unwrap()
    }

    /// The whole answer: one message and the status OK.
    pub(crate) fn finish(&mut self) {
        let mut body = self.answer();
        body.send_data(Bytes::from_static(b"ok"), false).unwrap();
        body.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
    }
}

/// An app that speaks HTTP/2 without TLS, and nothing else.
pub(crate) struct H2cApp {
    pub(crate) address: SocketAddr,
    calls: mpsc::Receiver<Call>,
    ends: mpsc::Receiver<usize>,
    server: JoinSet<()>,
}

impl H2cApp {
    pub(crate) async fn start() -> Self {
        Self::with(|_builder| {}).await
    }

    pub(crate) async fn with(
        change: impl Fn(&mut h2::server::Builder) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, calls) = mpsc::channel(1000);
        let (ended, ends) = mpsc::channel(1000);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut builder = h2::server::Builder::new();
                change(&mut builder);
                let (arrived, ended) = (arrived.clone(), ended.clone());
                connections.spawn(async move {
                    serve(stream, number, &builder, arrived).await;
                    let _test_is_over = ended.send(number).await;
                });
            }
        });
        Self { address, calls, ends, server }
    }

    /// The next stream that arrives.
    pub(crate) async fn next(&mut self) -> Call {
        timeout(BOUND, self.calls.recv()).await.expect("a call in time").unwrap()
    }

    /// The number of the next connection that ends.
    pub(crate) async fn next_end(&mut self) -> usize {
        timeout(BOUND, self.ends.recv()).await.expect("an end in time").unwrap()
    }

    /// Cuts all its connections.
    pub(crate) async fn die(&mut self) {
        self.server.shutdown().await;
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    builder: &h2::server::Builder,
    calls: mpsc::Sender<Call>,
) {
    let Ok(mut streams) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, reply))) = streams.accept().await {
        let (head, body) = request.into_parts();
        let _test_is_over = calls.send(Call { connection, head, body, reply }).await;
    }
}

/// One connection to the proxy.
pub(crate) struct H2cClient {
    sender: SendRequest<Bytes>,
    _driver: JoinSet<()>,
}

impl H2cClient {
    pub(crate) async fn new(world: &World) -> Self {
        let stream = TcpStream::connect(world.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _cut = connection.await;
        });
        Self { sender, _driver: driver }
    }

    /// Begins a call; `token` becomes a bearer.
    pub(crate) async fn call(
        &self,
        host: &str,
        token: Option<&str>,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::post(format!("http://{host}/pkg.Service/Method"))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .header("grpc-timeout", "20S");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(()).unwrap(), false).await
    }

    pub(crate) async fn send(
        &self,
        request: Request<()>,
        is_whole: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.sender.clone().ready().await.unwrap();
        sender.send_request(request, is_whole).unwrap()
    }
}

/// An answer in time.
pub(crate) async fn head_of(answer: ResponseFuture) -> (http::response::Parts, RecvStream) {
    timeout(BOUND, answer).await.expect("an answer in time").unwrap().into_parts()
}

/// The next piece of a body; `None` at its end.
pub(crate) async fn piece(body: &mut RecvStream) -> Result<Option<Bytes>, Option<Reason>> {
    loop {
        match timeout(BOUND, body.data()).await.expect("a piece in time") {
            None => return Ok(None),
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => {
                let _closed = body.flow_control().release_capacity(data.len());
                return Ok(Some(data));
            }
            Some(Err(error)) => return Err(error.reason()),
        }
    }
}

/// All of a body, and its trailers.
pub(crate) async fn rest(body: &mut RecvStream) -> (Vec<u8>, HeaderMap) {
    let mut all = Vec::new();
    while let Some(data) = piece(body).await.expect("no reset") {
        all.extend_from_slice(&data);
    }
    (all, body.trailers().await.unwrap().unwrap_or_default())
}

/// The reset that ends a body, whatever came before it.
pub(crate) async fn reset_of(body: &mut RecvStream) -> Option<Reason> {
    loop {
        match piece(body).await {
            Ok(Some(_before)) => {}
            Ok(None) => panic!("an orderly end"),
            Err(reason) => return reason,
        }
    }
}

pub(crate) fn trailers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let lines = lines.iter();
    lines.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}
