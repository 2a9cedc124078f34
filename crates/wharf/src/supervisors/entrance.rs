//! A controller's entrance for supervisors, and its entry in the directory of controllers.

use anyhow::{Context, Result};
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tunnel::Transport;

/// Whether anybody listens on a socket is known at once, or nobody does.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Our entry: gone when dropped, before the tunnels end.
#[derive(Debug)]
pub(crate) struct Entrance {
    listener: Listener,
    path: PathBuf,
}

/// The file that says where our API is, for the programs in containers: gone when dropped.
#[derive(Debug)]
pub(crate) struct ApiEntry(PathBuf);

impl ApiEntry {
    /// Tells where the API is, and removes the entries of controllers that were killed.
    pub(crate) async fn open(apis: &Path, address: SocketAddr) -> Result<Self> {
        remove_dead(apis).await;
        let name = u64::from_be_bytes(crate::secrets::random_bytes()?);
        let path = apis.join(format!("{name:016x}.api"));
        crate::secrets::write_private(&path, reachable(address).to_string().as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for ApiEntry {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "our entry for programs in containers is left behind");
        }
    }
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection that was just accepted, registered with no runtime.
#[derive(Debug)]
pub(super) enum Accepted {
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream),
}

impl Accepted {
    /// Registers it with the runtime that is going to drive it; called there.
    pub(super) fn register(self) -> io::Result<Box<dyn Transport>> {
        debug_assert!(Handle::try_current().is_ok(), "called on the runtime that drives it");
        match self {
            Self::Unix(stream) => Ok(Box::new(UnixStream::from_std(stream)?)),
            Self::Tcp(stream) => Ok(Box::new(TcpStream::from_std(stream)?)),
        }
    }
}

impl Entrance {
    /// Opens an entrance under a new name: a Unix socket for our own user, or, where `address` says so, a TCP port whose
    /// address stands in a file. Removes the entries of controllers that were killed.
    ///
    /// An entry gets its name once it can be dialled: nobody is to find it earlier.
    pub(crate) async fn open(tunnels: &Path, address: Option<SocketAddr>) -> Result<Self> {
        remove_dead(tunnels).await;
        let name = format!("{:016x}", u64::from_be_bytes(crate::secrets::random_bytes()?));
        let unborn = format!("{name}.new");
        match address {
            None => {
                let path = tunnels.join(format!("{name}.sock"));
                let listener = bind_unix(tunnels, &unborn, &path)
                    .with_context(|| format!("listen on {}", path.display()))?;
                Ok(Self { listener: Listener::Unix(listener), path })
            }
            Some(address) => {
                let path = tunnels.join(format!("{name}.addr"));
                let listener = TcpListener::bind(address).await.with_context(|| {
                    format!(
                        "listen on {address} for supervisors: free it, or change Tunnels.Listen (port 0 takes any free one)"
                    )
                })?;
                let told = listener.local_addr()?.to_string();
                crate::secrets::write_private(&path, told.as_bytes())?;
                Ok(Self { listener: Listener::Tcp(listener), path })
            }
        }
    }

    /// The next supervisor that comes.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.listener {
            Listener::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
            Listener::Tcp(listener) => {
                let (stream, _address) = listener.accept().await?;
                // Small frames must not wait for the acknowledgement of those before.
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream.into_std()?))
            }
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "our entry for supervisors is left behind");
        }
    }
}

/// Where somebody on this machine reaches a socket that listens on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A socket's path may have 107 bytes at most, so it is bound relative to the open directory.
pub(crate) fn bind_unix(tunnels: &Path, unborn: &str, path: &Path) -> io::Result<UnixListener> {
    let dir = std::fs::File::open(tunnels)?;
    let short = format!("/proc/self/fd/{}/{unborn}", dir.as_raw_fd());
    let listener = UnixListener::bind(short)?;
    std::fs::set_permissions(tunnels.join(unborn), Permissions::from_mode(0o600))?;
    std::fs::rename(tunnels.join(unborn), path)?;
    Ok(listener)
}

/// Entries behind which nobody listens belong to controllers that could not remove them.
pub(crate) async fn remove_dead(tunnels: &Path) {
    let entries = std::fs::read_dir(tunnels).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let probed = tokio::time::timeout(PROBE_TIMEOUT, probe(tunnels, &path)).await;
        let is_dead =
            matches!(&probed, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused);
        if is_dead && std::fs::remove_file(&path).is_ok() {
            tracing::debug!(path = %path.display(), "removed the entry of a controller that was killed");
        }
    }
}

/// Connects, if the path is an entry.
async fn probe(tunnels: &Path, path: &Path) -> io::Result<()> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("sock") => {
            let dir = std::fs::File::open(tunnels)?;
            let name = path.file_name().unwrap_or_default();
            let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
            UnixStream::connect(short).await.map(drop)
        }
        Some("addr" | "api") => {
            let address: SocketAddr =
                std::fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)?;
            TcpStream::connect(address).await.map(drop)
        }
        _ => Ok(()),
    }
}
