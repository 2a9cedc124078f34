//! An HTTP/1.1 client that hides nothing: it sends the bytes it is given and shows those that came.
//!
//! Tests of a proxy need requests that well-kept clients refuse to make (two `Host` lines, raw
//! paths, half-closed sockets) and answers that they tidy up (interim answers, chunk borders,
//! trailers). So this one is made by hand, over blocking sockets with a deadline.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A peer that is silent for so long has failed the test.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Header lines in the order of the wire.
pub type Lines = Vec<(String, String)>;

/// The first lines of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    pub headers: Lines,
    /// As it came, with the empty line.
    pub raw: Vec<u8>,
}

impl Head {
    /// The first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// Every header of that name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Lines,
}

impl Reply {
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the answer where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status(), self.text()))
    }

    /// Panics with the answer unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "answer: {:?}\n{}", self.head.headers, self.text());
        self
    }
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Request {
    port: u16,
    method: String,
    target: String,
    lines: Lines,
    body: Option<Vec<u8>>,
}

impl Request {
    /// To `127.0.0.1:port`, with `Host: host` as its first header.
    #[must_use]
    pub fn new(port: u16, host: &str, method: &str, target: &str) -> Self {
        Self {
            port,
            method: method.to_owned(),
            target: target.to_owned(),
            lines: vec![("Host".to_owned(), host.to_owned())],
            body: None,
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// As a browser that follows a link asks: HTML, top-level navigation.
    #[must_use]
    pub fn navigating(self) -> Self {
        self.header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Sec-Fetch-Site", "none")
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// The bytes of the head, with the empty line.
    #[must_use]
    pub fn head_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.lines {
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            let _infallible = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// All of it, as it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [&self.head_bytes(), self.body.as_deref().unwrap_or_default()].concat()
    }

    /// Sends it on a connection of its own and reads the whole answer.
    #[must_use]
    pub fn send(&self) -> Reply {
        self.try_send().unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target))
    }

    /// The same, where a broken connection is an answer too.
    ///
    /// # Errors
    /// Whatever the socket says, and an answer that ends too early.
    pub fn try_send(&self) -> std::io::Result<Reply> {
        let closing = self.clone().header("Connection", "close");
        let mut connection = Connection::try_open(self.port)?;
        connection.try_send(&closing.head_bytes())?;
        // An app may answer and close before it has read everything: the answer counts.
        let _sent = connection.try_send(self.body.as_deref().unwrap_or_default());
        connection.try_read_reply(self.method == "HEAD")
    }

    /// Sends the head (and the body, where there is one) and leaves the answer to the caller.
    #[must_use]
    pub fn start(&self) -> Connection {
        let mut connection = Connection::open(self.port);
        connection.send(&self.head_bytes());
        connection.send(self.body.as_deref().unwrap_or_default());
        connection
    }
}

/// One connection, read step by step.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    #[must_use]
    pub fn open(port: u16) -> Self {
        Self::try_open(port).unwrap_or_else(|error| panic!("connecting to port {port}: {error}"))
    }

    /// # Errors
    /// Those of the socket.
    pub fn try_open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::with_capacity(64 * 1024, stream) })
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("sending: {error}"));
    }

    /// # Errors
    /// Those of the socket.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends one chunk of a chunked body; an empty one ends it.
    pub fn send_chunk(&mut self, bytes: &[u8]) {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.send(&framed);
    }

    /// From now on silence of so long counts as the end of what the peer has to say.
    pub fn give_up_after(&self, silence: Duration) {
        self.reader.get_ref().set_read_timeout(Some(silence)).expect("a timeout that is not zero");
    }

    /// Says that nothing more comes from here, and keeps reading possible.
    pub fn finish_sending(&self) {
        self.reader.get_ref().shutdown(Shutdown::Write).expect("half-closing a connected socket");
    }

    #[must_use]
    pub fn read_head(&mut self) -> Head {
        self.try_read_head().unwrap_or_else(|error| panic!("reading an answer's head: {error}"))
    }

    /// # Errors
    /// Those of the socket; `UnexpectedEof` where the peer closed instead of answering.
    pub fn try_read_head(&mut self) -> std::io::Result<Head> {
        let mut raw = Vec::new();
        while !raw.ends_with(b"\r\n\r\n") {
            if self.reader.read_until(b'\n', &mut raw)? == 0 {
                let shown = String::from_utf8_lossy(&raw).into_owned();
                return Err(std::io::Error::new(ErrorKind::UnexpectedEof, shown));
            }
        }
        let text = String::from_utf8_lossy(&raw).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| {
            std::io::Error::new(ErrorKind::InvalidData, format!("no status: {text}"))
        })?;
        Ok(Head { status, headers: lines_of(&text), raw })
    }

    #[must_use]
    pub fn read_reply(&mut self) -> Reply {
        self.try_read_reply(false).unwrap_or_else(|error| panic!("reading an answer: {error}"))
    }

    /// Skips interim answers (100, 103).
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` where the answer is cut off.
    pub fn try_read_reply(&mut self, is_head: bool) -> std::io::Result<Reply> {
        let mut head = self.try_read_head()?;
        while (100..200).contains(&head.status) && head.status != 101 {
            head = self.try_read_head()?;
        }
        let mut reply = Reply { head, body: Vec::new(), trailers: Vec::new() };
        if is_head || matches!(reply.head.status, 101 | 204 | 304) {
            return Ok(reply);
        }
        let coding = reply.head.header("Transfer-Encoding").unwrap_or_default();
        if coding.eq_ignore_ascii_case("chunked") {
            while let Some(chunk) = self.read_chunk()? {
                reply.body.extend_from_slice(&chunk);
            }
            reply.trailers = self.read_trailers()?;
        } else if let Some(length) = reply.head.header("Content-Length") {
            let length = length.parse().map_err(|_bad| ErrorKind::InvalidData)?;
            reply.body = vec![0; length];
            self.reader.read_exact(&mut reply.body)?;
        } else {
            self.reader.read_to_end(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// The next chunk of a chunked body; `None` at its end, where the trailers follow.
    ///
    /// # Errors
    /// Those of the socket; `InvalidData` where no chunk is.
    pub fn read_chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(|_bad| {
            std::io::Error::new(ErrorKind::InvalidData, format!("no chunk: {line:?}"))
        })?;
        if size == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(size);
        Ok(Some(chunk))
    }

    /// The lines after the last chunk.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn read_trailers(&mut self) -> std::io::Result<Lines> {
        let mut text = String::from("\r\n");
        let mut line = String::new();
        while self.reader.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
            text.push_str(&line);
            line.clear();
        }
        Ok(lines_of(&text))
    }

    /// Some bytes of what comes next: empty at the end of the stream.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn read_some(&mut self) -> std::io::Result<Vec<u8>> {
        let bytes = self.reader.fill_buf()?.to_vec();
        self.reader.consume(bytes.len());
        Ok(bytes)
    }

    /// Everything up to the end of the stream; a reset counts as the end.
    #[must_use]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("reading to the end: {error}"),
        }
    }

    /// The rest of an answer's body, to its last chunk or to the end of the stream, whichever comes
    /// first and however it comes.
    pub fn read_rest(&mut self, head: &Head) -> Vec<u8> {
        if head.header("Transfer-Encoding").is_none() {
            return self.read_to_end();
        }
        let mut rest = Vec::new();
        while let Ok(Some(chunk)) = self.read_chunk() {
            rest.extend_from_slice(&chunk);
        }
        rest
    }

    /// The socket, for tests that speak something else from here on.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        assert!(self.reader.buffer().is_empty(), "bytes were read ahead");
        self.reader.into_inner()
    }
}

/// The header lines after the first line of `text`.
fn lines_of(text: &str) -> Lines {
    let lines = text.split("\r\n").skip(1);
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}
