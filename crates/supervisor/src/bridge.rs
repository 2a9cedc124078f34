//! Ways out of the container: connections to addresses of its own loopback go on to a controller, or to a service in
//! another container.
//!
//! Bytes only. To a controller the program speaks TLS itself, and proves who it is by its token. Controllers tell
//! where they listen in `NAME.api` files of one directory; each connection looks anew, so that it finds whoever is there
//! now. To a service there is no credential at all: whether who submitted the request may open it was asked then (`api`,
//! committing), and its supervisor hands over a socket that is connected inside. Where that right was taken back since, a
//! controller shuts the way: connections on it end, and new ones are closed at once, until it is open again.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifecycle::TaskScope;
use model::{ContainerPort, SuperviseSpec};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tunnel::handover;

/// Connections at a time; a program's client keeps some few.
const CONNECTIONS_MAX: usize = 256;
/// A controller on this machine accepts within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between tries where no connection could be accepted: no descriptors are left, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Controllers that are tried.
const CONTROLLERS_MAX: usize = 16;

/// Where connections go on to.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Controllers say in this directory where they are.
    Api(PathBuf),
    /// A port of the container with this directory.
    Service(PathBuf, ContainerPort),
}

/// Where a container's program finds its ways out; in the order of [`ways`].
pub(crate) fn addresses(spec: &SuperviseSpec) -> Vec<SocketAddrV4> {
    let api = spec.api.iter().map(|api| SocketAddrV4::new(Ipv4Addr::LOCALHOST, api.port));
    api.chain(spec.services.iter().map(|service| service.address)).collect()
}

/// Where they lead.
pub(crate) fn ways(spec: &SuperviseSpec) -> Vec<Way> {
    let api = spec.api.iter().map(|api| Way::Api(api.controllers.clone()));
    let services = spec.services.iter();
    api.chain(services.map(|it| Way::Service(it.dir.clone(), it.port))).collect()
}

/// Addresses of ways that are shut.
pub(crate) type Shut = BTreeSet<SocketAddrV4>;

/// Serves until cancelled; all connections live in `scope`. None lives while its address is shut.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    at: SocketAddrV4,
    way: Way,
    shut: watch::Receiver<Shut>,
    scope: TaskScope,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, ?way, "the container has no way out"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Closed never: the semaphore is ours.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((inside, _)) => {
                let (way, mut shut) = (way.clone(), shut.clone());
                scope.spawn_cancellable("way out", async move {
                    let is_shut = async {
                        if shut.wait_for(|shut| shut.contains(&at)).await.is_err() {
                            // Nobody is left who could shut it.
                            std::future::pending::<()>().await;
                        }
                    };
                    tokio::select! {
                        biased;
                        () = is_shut => tracing::debug!(?way, "a way is shut"),
                        ended = relay(inside, &way) => if let Err(error) = ended {
                            tracing::debug!(%error, ?way, "a connection ended early");
                        },
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection out of the container was lost");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn relay(mut inside: TcpStream, way: &Way) -> io::Result<()> {
    inside.set_nodelay(true)?;
    let mut outside = match way {
        Way::Api(controllers) => connect(controllers).await?,
        // Without an answer the program sees its connection closed, as by a service that has ended.
        Way::Service(dir, port) => {
            handover::ask(dir, port.get()).await.map_err(io::Error::other)?
        }
    };
    outside.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut inside, &mut outside).await.map(drop)
}

/// The first controller that accepts.
async fn connect(controllers: &Path) -> io::Result<TcpStream> {
    let mut refusal = io::Error::from(io::ErrorKind::NotFound);
    for address in told(controllers)? {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => refusal = error,
            Err(_elapsed) => refusal = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(refusal)
}

/// Where controllers listen, as they say.
fn told(controllers: &Path) -> io::Result<Vec<SocketAddr>> {
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
        let SocketAddr::V4(at) = address else { panic!("{address}") };
        let shut = watch::Sender::new(Shut::new());
        let way = Way::Api(dir.path().to_owned());
        let serving = serve(inside, at, way, shut.subscribe(), scope.child("api"));
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

        // A way that is shut ends what is open, and is closed to what comes, until it is open again.
        let mut open = TcpStream::connect(address).await.unwrap();
        let (_far, _) = api.accept().await.unwrap();
        shut.send_replace([at].into());
        assert_eq!(open.read(&mut asked).await.unwrap_or(0), 0);
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert_eq!(refused.read(&mut asked).await.unwrap_or(0), 0);
        shut.send_replace(Shut::new());
        let mut open = TcpStream::connect(address).await.unwrap();
        let (mut far, _) = api.accept().await.unwrap();
        far.write_all(b"back").await.unwrap();
        open.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"back");
        scope.cancel();
    }
}
