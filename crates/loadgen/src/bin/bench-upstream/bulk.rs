//! Large bodies, in constant memory.

use std::io;

use loadgen::BULK_CHUNK_BYTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

static ZEROS: [u8; BULK_CHUNK_BYTES] = [0; BULK_CHUNK_BYTES];

/// Answers with `n_bytes` zeros.
pub(crate) async fn down(stream: &mut TcpStream, n_bytes: u64) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {n_bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut left = n_bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        let written = stream.write(&ZEROS[..piece]).await?;
        left -= written as u64;
    }
    Ok(())
}

/// Takes a body of `n_bytes`, of which `buffer` has the beginning.
pub(crate) async fn up(
    stream: &mut TcpStream,
    n_bytes: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let known = usize::try_from(n_bytes).map_or(buffer.len(), |body| body.min(buffer.len()));
    buffer.drain(..known);
    let mut left = n_bytes - known as u64;
    let mut scratch = vec![0; BULK_CHUNK_BYTES];
    while left > 0 {
        let room = usize::try_from(left).map_or(scratch.len(), |left| left.min(scratch.len()));
        match stream.read(&mut scratch[..room]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read as u64,
        }
    }
    Ok(())
}
