//! A request as it came: the head's bytes, and a body that is read piece by piece.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;

pub(crate) type Reader = BufReader<TcpStream>;

/// The head of a request.
pub(crate) struct Request {
    /// As it came, with the empty line.
    pub(crate) raw: Vec<u8>,
    pub(crate) method: String,
    pub(crate) path: String,
    query: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// `None` where the peer closed between requests.
    pub(crate) fn read(reader: &mut Reader) -> Result<Option<Self>> {
        let mut raw = Vec::new();
        while !raw.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut raw)? == 0 {
                return Ok(None);
            }
        }
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let method = first.next().unwrap_or_default().to_owned();
        let target = first.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Some(Self { method, path: path.to_owned(), query: query.to_owned(), headers, raw }))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, as it stands there.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.parse().ok()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    /// Gives the body to `take` as it arrives; returns the raw trailers of a chunked one. Sends
    /// `100 Continue` first where the peer waits for it.
    pub(crate) fn read_body(
        &self,
        reader: &mut Reader,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Vec<u8>> {
        if self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if self.is_chunked() {
            return read_chunks(reader, take);
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse);
        let mut left: u64 = length.map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        let mut block = vec![0; 256 * 1024];
        while left > 0 {
            let room = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = reader.read(&mut block[..room])?;
            if n == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            take(&block[..n])?;
            left -= n as u64;
        }
        Ok(Vec::new())
    }

    /// The whole body, for small ones.
    pub(crate) fn whole_body(&self, reader: &mut Reader) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut body = Vec::new();
        let trailers = self.read_body(reader, |bytes| {
            body.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok((body, trailers))
    }
}

fn read_chunks(reader: &mut Reader, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<Vec<u8>> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        if size == 0 {
            break;
        }
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        take(&chunk[..size])?;
    }
    let mut trailers = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if line.len() <= 2 {
            return Ok(trailers);
        }
        trailers.extend_from_slice(&line);
    }
}
