//! `/ws`: a WebSocket that sends each message back, text as text and binary as binary.

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, WebSocket};
use axum::response::Response;

/// The largest message that is echoed; more ends the socket with close code 1009.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Subprotocols the demo speaks, so that negotiation can be seen to pass the gate.
const SUBPROTOCOLS: [&str; 2] = ["wharf-echo", "echo"];

pub(super) async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .protocols(SUBPROTOCOLS)
        .on_upgrade(send_back)
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let reply = match message {
            Message::Text(_) | Message::Binary(_) => message,
            // Pings are answered and a close is confirmed by the WebSocket layer itself.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
        };
        if socket.send(reply).await.is_err() {
            return;
        }
    }
}
