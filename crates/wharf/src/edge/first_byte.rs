//! TLS or plain: told by the first byte, which in TLS is 22 (handshake, RFC 8446 section 5.1) and in HTTP never.

use std::io;
use tokio::net::TcpStream;

const TLS_HANDSHAKE: u8 = 22;

/// Whether the peer starts with a TLS handshake; waits for its first byte and leaves it unread.
///
/// # Errors
/// When the peer closed the connection without a word.
pub(crate) async fn is_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 1];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == TLS_HANDSHAKE),
    }
}
