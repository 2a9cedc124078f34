//! WebSockets of the app: an echo with commands, and a raw one for half-closed streams.

use std::io::{Error, Read, Result, Write};
use std::net::{Shutdown, TcpStream};

use testkit::websocket::tungstenite::handshake::derive_accept_key;
use testkit::websocket::tungstenite::protocol::{CloseFrame, Role};
use testkit::websocket::tungstenite::{Message, WebSocket};

use crate::request::{Reader, Request};

/// Answers 101; picks the first offered subprotocol. False where the request is no upgrade.
fn upgrade(request: &Request, reader: &mut Reader, greeting: &[u8]) -> Result<bool> {
    let Some(key) = request.header("sec-websocket-key") else {
        reader.get_mut().write_all(
            b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        )?;
        return Ok(false);
    };
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    if let Some(offered) = request.header("sec-websocket-protocol") {
        let first = offered.split(',').next().unwrap_or_default().trim();
        head.extend(["Sec-WebSocket-Protocol: ", first, "\r\n"]);
    }
    head.push_str("\r\n");
    // Whatever follows goes out in the same write: an app may speak at once.
    reader.get_mut().write_all(&[head.as_bytes(), greeting].concat())?;
    Ok(true)
}

/// Echoes text and binary. Text commands: `close CODE REASON`, `ping WORD`, `head` (what the
/// handshake looked like).
pub(crate) fn echo(request: &Request, reader: &mut Reader) -> Result<bool> {
    // "hi" as a text frame, where it is asked for.
    let greets = request.parameter("greet").is_some();
    if !upgrade(request, reader, if greets { b"\x81\x02hi" } else { b"" })? {
        return Ok(true);
    }
    let stream = reader.get_ref().try_clone()?;
    let early = reader.buffer().to_vec();
    let mut socket = WebSocket::from_partially_read(stream, early, Role::Server, None);
    while let Ok(message) = socket.read() {
        let done = match &message {
            Message::Text(text) if text.starts_with("close ") => {
                let mut words = text.splitn(3, ' ').skip(1);
                let code = words.next().and_then(|code| code.parse::<u16>().ok()).unwrap_or(1000);
                let reason = words.next().unwrap_or_default().to_owned().into();
                socket.close(Some(CloseFrame { code: code.into(), reason }))
            }
            Message::Text(text) if text.starts_with("ping ") => {
                socket.send(Message::Ping(text.as_bytes()[5..].to_vec().into()))
            }
            Message::Text(text) if text.as_str() == "head" => {
                socket.send(Message::text(String::from_utf8_lossy(&request.raw).into_owned()))
            }
            Message::Text(_) | Message::Binary(_) => socket.send(message),
            // Shown to the client as text, so that it can see that its pong arrived.
            Message::Pong(word) => {
                let word = String::from_utf8_lossy(word);
                socket.send(Message::text(format!("pong {word}")))
            }
            _ => socket.flush(),
        };
        if let Err(error) = done {
            println!("websocket: {error}");
        }
    }
    Ok(false)
}

/// After the 101: counts bytes until the peer has closed its direction, then answers "read N" on
/// the other one and closes.
pub(crate) fn half_close(request: &Request, reader: &mut Reader) -> Result<bool> {
    if !upgrade(request, reader, b"")? {
        return Ok(true);
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let stream: &mut TcpStream = reader.get_mut();
    stream.write_all(format!("read {}", bytes.len()).as_bytes())?;
    stream.shutdown(Shutdown::Write).map_err(Error::other)?;
    Ok(false)
}
