//! Apps on loopback that speak HTTP/1.1 byte by byte, so that a test sees exactly what reached them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Request line and headers, without the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Lines after the last chunk.
    pub(crate) trailers: String,
    /// Which connection it came over, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    /// Request line: method and target.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }
}

/// What an app does with a request.
pub(crate) enum Reply {
    /// Writes bytes and reads the next request.
    Bytes(Vec<u8>),
    /// Writes bytes and closes.
    Last(Vec<u8>),
    /// Does anything with the connection.
    Take(Box<dyn FnOnce(Conn) -> BoxFuture<'static, ()> + Send>),
}

impl Reply {
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }

    pub(crate) fn take<F, W>(work: F) -> Self
    where
        F: FnOnce(Conn) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Self::Take(Box::new(|conn| work(conn).boxed()))
    }
}

/// A connection with what was read ahead.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    pub(crate) ahead: Vec<u8>,
}

impl Conn {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed = self.stream.write_all(bytes.as_ref()).await;
    }

    async fn more(&mut self) -> Option<()> {
        let n = self.stream.read_buf(&mut self.ahead).await.ok()?;
        (n > 0).then_some(())
    }

    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.ahead.windows(mark.len()).position(|window| window == mark) {
                let rest = self.ahead.split_off(at + mark.len());
                let mut found = std::mem::replace(&mut self.ahead, rest);
                found.truncate(at);
                return Some(found);
            }
            self.more().await?;
        }
    }

    pub(crate) async fn exactly(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < n {
            self.more().await?;
        }
        let rest = self.ahead.split_off(n);
        Some(std::mem::replace(&mut self.ahead, rest))
    }

    /// Head only.
    pub(crate) async fn head(&mut self) -> Option<Seen> {
        let head = self.until(b"\r\n\r\n").await?;
        Some(Seen { head: String::from_utf8_lossy(&head).into_owned(), ..Seen::default() })
    }

    /// The body that a head announces.
    pub(crate) async fn body(&mut self, seen: &mut Seen) -> Option<()> {
        if let Some(length) = seen.headers("content-length").first() {
            seen.body = self.exactly(length.parse().unwrap()).await?;
        } else if !seen.headers("transfer-encoding").is_empty() {
            loop {
                let size = String::from_utf8(self.until(b"\r\n").await?).unwrap();
                let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                seen.body.extend(self.exactly(size).await?);
                self.until(b"\r\n").await?;
            }
            loop {
                let line = String::from_utf8(self.until(b"\r\n").await?).unwrap();
                if line.is_empty() {
                    break;
                }
                seen.trailers.push_str(&line);
                seen.trailers.push('\n');
            }
        }
        Some(())
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A listening app.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _server: JoinSet<()>,
}

impl App {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::reading(true, handler).await
    }

    /// An app that leaves the body of a request to its handler.
    pub(crate) async fn of_heads(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::reading(false, handler).await
    }

    async fn reading(
        bodies: bool,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let mut server = JoinSet::new();
        let notes = Arc::clone(&seen);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let conn = Conn { stream, ahead: Vec::new() };
                connections.spawn(serve(
                    conn,
                    number,
                    bodies,
                    Arc::clone(&handler),
                    Arc::clone(&notes),
                ));
            }
        });
        Self { address, seen, _server: server }
    }

    /// Answers with what it was asked: head, empty line, body, trailers.
    pub(crate) async fn echo() -> Self {
        Self::start(|seen| {
            let mut body = format!("{}\n\n", seen.head).into_bytes();
            body.extend_from_slice(&seen.body);
            Reply::ok(body)
        })
        .await
    }

    /// Every request that arrived.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().last().cloned().expect("the app was asked")
    }
}

async fn serve(
    mut conn: Conn,
    number: usize,
    bodies: bool,
    handler: Arc<Handler>,
    notes: Arc<Mutex<Vec<Seen>>>,
) {
    while let Some(mut seen) = conn.head().await {
        seen.connection = number;
        if bodies && conn.body(&mut seen).await.is_none() {
            return;
        }
        notes.lock().unwrap().push(seen.clone());
        match handler(&seen) {
            Reply::Bytes(bytes) => conn.write(bytes).await,
            Reply::Last(bytes) => {
                conn.write(bytes).await;
                return;
            }
            Reply::Take(work) => {
                work(conn).await;
                return;
            }
        }
    }
}
