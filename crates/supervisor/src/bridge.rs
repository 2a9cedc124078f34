//! The API, inside the container: connections to a port of its own loopback go on to a controller.
//!
//! Bytes only: the program speaks TLS with the controller itself, and proves who it is by its token. Controllers tell
//! where they listen in `NAME.api` files of one directory; each connection looks anew, so that it finds whoever is there
//! now.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifecycle::TaskScope;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections at a time; a program's client keeps some few.
const CONNECTIONS_MAX: usize = 256;
/// A controller on this machine accepts within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between tries where no connection could be accepted: no descriptors are left, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Controllers that are tried.
const CONTROLLERS_MAX: usize = 16;

/// Serves until cancelled; all connections live in `scope`.
pub(crate) async fn serve(listener: std::net::TcpListener, controllers: PathBuf, scope: TaskScope) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, "the container cannot reach the API"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Closed never: the semaphore is ours.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((inside, _)) => {
                let controllers = controllers.clone();
                scope.spawn_cancellable("api", async move {
                    if let Err(error) = relay(inside, &controllers).await {
                        tracing::debug!(%error, "a connection to the API ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to the API was lost");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn relay(mut inside: TcpStream, controllers: &Path) -> io::Result<()> {
    inside.set_nodelay(true)?;
    let mut outside = connect(controllers).await?;
    outside.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut inside, &mut outside).await.map(drop)
}

/// The first controller that accepts.
async fn connect(controllers: &Path) -> io::Result<TcpStream> {
    let mut refusal = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses(controllers)? {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => refusal = error,
            Err(_elapsed) => refusal = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(refusal)
}

/// Where controllers listen, as they say.
fn addresses(controllers: &Path) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(controllers)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "api") {
            // Gone again where its controller has just left.
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            found.extend(text.trim().parse::<SocketAddr>().ok());
        }
    }
    found.sort_unstable();
    found.truncate(CONTROLLERS_MAX);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn bytes_go_to_whichever_controller_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(dir.path().join("a.api"), gone.to_string()).unwrap();
        std::fs::write(dir.path().join("b.api"), api.local_addr().unwrap().to_string()).unwrap();
        std::fs::write(dir.path().join("c.sock"), "no address").unwrap();
        let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        inside.set_nonblocking(true).unwrap();
        let address = inside.local_addr().unwrap();
        let scope = TaskScope::new("bridge");
        let serving = serve(inside, dir.path().to_owned(), scope.child("api"));
        scope.spawn_cancellable("serve", serving);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let (mut server, _) = api.accept().await.unwrap();
        let mut asked = [0; 4];
        server.read_exact(&mut asked).await.unwrap();
        server.write_all(b"pong").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&asked, answer.as_str()), (b"ping", "pong"));
        scope.cancel();
    }
}
