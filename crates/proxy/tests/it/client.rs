//! A client that sends exactly the bytes it is given.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::BOUND;

/// A request without a body; `more` are whole lines of its head.
pub(crate) fn request(method: &str, host: &str, path: &str, more: &str) -> String {
    let length = if matches!(method, "GET" | "HEAD" | "TRACE" | "OPTIONS") {
        ""
    } else {
        "Content-Length: 0\r\n"
    };
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{more}\r\n")
}

/// One connection to the proxy.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The message of an Arvados error.
    pub(crate) fn error(&self) -> String {
        let body: serde_json::Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"));
        body["errors"][0].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends bytes and reads the final answer.
    pub(crate) async fn send(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let is_head = request.as_ref().starts_with(b"HEAD ");
        self.write(request).await;
        self.answer(is_head).await
    }

    /// The next final answer.
    pub(crate) async fn answer(&mut self, is_head: bool) -> Answer {
        loop {
            let answer = timeout(BOUND, self.one(is_head)).await.expect("an answer in time");
            let answer = answer.expect("a whole answer");
            if !(100..200).contains(&answer.status) || answer.status == 101 {
                return answer;
            }
        }
    }

    /// The next head, with the body left on the connection.
    pub(crate) async fn head(&mut self) -> Answer {
        let head =
            timeout(BOUND, self.until(b"\r\n\r\n")).await.expect("a head in time").expect("a head");
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("a status: {head}"));
        Answer { status, head, body: Vec::new(), trailers: String::new() }
    }

    async fn one(&mut self, is_head: bool) -> Option<Answer> {
        let mut answer = self.head().await;
        let has_body = !is_head && answer.status >= 200 && !matches!(answer.status, 204 | 304);
        if !has_body {
            return Some(answer);
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = self.exactly(length.parse().unwrap()).await?;
        } else if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await? {
                answer.body.extend(chunk);
            }
            loop {
                let line = String::from_utf8(self.until(b"\r\n").await?).unwrap();
                if line.is_empty() {
                    break;
                }
                answer.trailers.push_str(&line);
                answer.trailers.push('\n');
            }
        } else {
            answer.body = self.rest().await;
        }
        Some(answer)
    }

    /// One chunk of a chunked body; `Some(None)` for the last.
    pub(crate) async fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let size = String::from_utf8(self.until(b"\r\n").await?).ok()?;
        let size = usize::from_str_radix(&size, 16).ok()?;
        if size == 0 {
            return Some(None);
        }
        let chunk = self.exactly(size).await?;
        self.until(b"\r\n").await?;
        Some(Some(chunk))
    }

    /// Everything until the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while timeout(BOUND, self.more()).await.expect("an end in time").is_some() {}
        std::mem::take(&mut self.ahead)
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
}
