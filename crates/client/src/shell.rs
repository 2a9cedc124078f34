//! Shells in containers, over a WebSocket to the API.

use axum::body::Body;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, header};
use model::shell::{FromShell, ToShell};
use model::{ContainerUuid, RequestUuid};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::ServiceExt as _;

use crate::call::{Client, not_understood};
use crate::error::ClientError;
use crate::transport::Transport;
use crate::upgrade::{ByteStream, Upgrade};

/// Frames to a shell.
#[derive(Debug)]
pub struct ShellSender(SplitSink<WebSocketStream<ByteStream>, Message>);

/// Frames from a shell.
#[derive(Debug)]
pub struct ShellReceiver {
    stream: SplitStream<WebSocketStream<ByteStream>>,
    /// Why the API closed the socket, where it said so.
    farewell: Option<String>,
}

impl Client {
    /// Opens a socket to a container's shells; the first frame on it is to be [`ToShell::Open`].
    pub async fn open_shell(
        &self,
        container: ContainerUuid,
    ) -> Result<(ShellSender, ShellReceiver), ClientError> {
        let path = format!("/wharf/v1/containers/{container}/shell");
        let what = format!("a shell in {container}");
        let key = generate_key();
        let wanted = Upgrade {
            url: self.base_url(),
            path: &path,
            token: "websocket",
            protocol: "WebSocket",
            more: &[(header::SEC_WEBSOCKET_VERSION, "13"), (header::SEC_WEBSOCKET_KEY, &key)],
        };
        let (switched, stream) = self.upgrade(wanted, |_authority| what.clone()).await?;
        let accepted = switched.get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|it| it.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(not_understood(&what, "the server does not speak WebSocket"));
        }
        let (sink, stream) =
            WebSocketStream::from_raw_socket(stream, Role::Client, None).await.split();
        Ok((ShellSender(sink), ShellReceiver { stream, farewell: None }))
    }
}

impl Client {
    /// Hands a browser's request for a socket on to a router in memory: as it came, but for the path and the credentials,
    /// which are ours. The answer is the browser's.
    pub async fn pass_on_shell(
        &self,
        request: RequestUuid,
        mut asked: Request<Body>,
    ) -> Result<Response<Body>, ClientError> {
        let what = format!("a shell of {request}");
        let Transport::Memory(router) = &self.transport else {
            return Err(not_understood(&what, "a socket is passed on in memory only"));
        };
        let path = format!("/wharf/v1/containers/{request}/shell");
        *asked.uri_mut() = path.parse().map_err(|_never| not_understood(&what, "no path"))?;
        let came = std::mem::take(asked.headers_mut());
        let headers = asked.headers_mut();
        let passed = [
            header::CONNECTION,
            header::UPGRADE,
            header::SEC_WEBSOCKET_VERSION,
            header::SEC_WEBSOCKET_KEY,
            header::SEC_WEBSOCKET_EXTENSIONS,
        ];
        for name in passed {
            if let Some(value) = came.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        // Of what a router has noted of the request, only the way to the socket is of use to another one.
        let came = std::mem::take(asked.extensions_mut());
        let extensions = asked.extensions_mut();
        if let Some(upgrade) = came.get::<hyper::upgrade::OnUpgrade>() {
            extensions.insert(upgrade.clone());
        }
        if let Some(protocol) = came.get::<hyper::ext::Protocol>() {
            extensions.insert(protocol.clone());
        }
        let Ok(answer) = router.clone().oneshot(asked).await;
        Ok(answer)
    }
}

impl ShellSender {
    /// Sends a frame; none where the connection is over.
    pub async fn send(&mut self, frame: &ToShell) -> Option<()> {
        self.0.send(Message::Binary(frame.encode().into())).await.ok()
    }
}

impl ShellReceiver {
    /// The next frame; none once the connection is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<FromShell> {
        loop {
            match self.stream.next().await? {
                Ok(Message::Binary(frame)) => return FromShell::decode(&frame).ok(),
                Ok(Message::Close(Some(close))) => self.farewell = Some(close.reason.to_string()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Why the API closed the socket, where it said so.
    pub fn farewell(&self) -> Option<&str> {
        self.farewell.as_deref().filter(|words| !words.is_empty())
    }
}
