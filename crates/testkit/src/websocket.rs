//! A WebSocket client that is not ours (tungstenite) on a socket that is.

use std::net::TcpStream;

pub use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::{Request, Response};
use tungstenite::{Error, WebSocket};

/// A WebSocket after its handshake, with the answer's head.
pub type Open = (WebSocket<TcpStream>, Response);

/// The opening request for `ws://host/target`; add headers to it before [`connect`].
#[must_use]
pub fn request(host: &str, target: &str) -> Request {
    format!("ws://{host}{target}").into_client_request().expect("a proper WebSocket address")
}

/// Opens it over `127.0.0.1:port`.
///
/// # Errors
/// The answer (`Error::Http`) where it is no upgrade; what the socket says.
pub fn connect(port: u16, request: Request) -> Result<Open, Box<Error>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(Error::Io)?;
    stream.set_read_timeout(Some(crate::http::SILENCE_MAX)).map_err(Error::Io)?;
    tungstenite::client(request, stream).map_err(|error| match error {
        tungstenite::HandshakeError::Failure(error) => Box::new(error),
        tungstenite::HandshakeError::Interrupted(_) => Box::new(Error::ConnectionClosed),
    })
}

/// Reads the end of a socket: the code of the close frame, `None` where it broke off without one.
///
/// # Panics
/// Where a message comes instead.
pub fn read_end(socket: &mut WebSocket<TcpStream>) -> Option<u16> {
    match socket.read() {
        Ok(tungstenite::Message::Close(frame)) => frame.map(|frame| frame.code.into()),
        Ok(message) => panic!("the WebSocket is over, and yet: {message:?}"),
        Err(_broken_off) => None,
    }
}

/// What a socket ends with when access is withdrawn (RFC 6455 section 7.4.1).
pub const POLICY_VIOLATION: u16 = 1008;
