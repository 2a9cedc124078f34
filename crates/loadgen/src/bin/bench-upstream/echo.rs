//! A WebSocket that sends every message back.

use std::io;

use loadgen::websocket::{Frame, Opcode, Sender, accept_key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connection::Next;

/// Shakes hands and echoes until the peer closes.
pub(crate) async fn serve(
    stream: &mut TcpStream,
    key: &str,
    buffer: &mut Vec<u8>,
) -> io::Result<Next> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    stream.write_all(head.as_bytes()).await?;
    // Thousands of idle sockets: room for a message is made when there is one.
    buffer.shrink_to(256);
    loop {
        let Some((mut frame, length)) = Frame::decode(buffer).map_err(io::Error::other)? else {
            if stream.read_buf(buffer).await? == 0 {
                return Ok(Next::Close);
            }
            continue;
        };
        buffer.drain(..length);
        let is_last = frame.opcode == Opcode::Close;
        match frame.opcode {
            Opcode::Text | Opcode::Binary | Opcode::Close => {}
            Opcode::Ping => frame.opcode = Opcode::Pong,
            Opcode::Pong => continue,
        }
        stream.write_all(&frame.encode(Sender::Server)).await?;
        if is_last {
            return Ok(Next::Close);
        }
    }
}
