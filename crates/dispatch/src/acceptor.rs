//! Lets supervisors in: who knows the secret of a launch gets a tunnel and a place in the registry.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{ContainerUuid, ServiceDomain};
use store::Store;
use tokio::io::{AsyncRead, AsyncWrite};
use tunnel::{HandshakeError, Identity, LaunchSecret, Limits, Registry, Role, Tunnel};

use crate::config::DispatchConfig;
use crate::control::Control;
use crate::layout::ContainerDir;
use crate::orders::Orders;
use crate::recorder::Recorder;
use crate::starts::Starts;
use crate::ways::Ways;

/// A controller's end towards the supervisors: admits them, writes down what they report, and tells those to stop
/// whom the records do not want. Needs no dispatcher in its process. Clones are the same.
#[derive(Clone, Debug)]
pub struct TunnelAcceptor {
    data_dir: PathBuf,
    store: Store,
    identity: Identity,
    registry: Registry,
    control: Control,
    period: Duration,
    starts: Starts,
}

/// A supervisor that was let in. The caller spawns both futures; they end with the tunnel.
pub struct Admitted {
    /// Whose it is.
    pub container: ContainerUuid,
    /// In the registry already.
    pub tunnel: Tunnel,
    /// Moves the bytes: belongs on the thread that carries the service traffic.
    pub driver: BoxFuture<'static, ()>,
    /// Keeps the record: may run on any thread.
    pub control: BoxFuture<'static, ()>,
}

impl std::fmt::Debug for Admitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admitted").field("container", &self.container).finish_non_exhaustive()
    }
}

/// Why a connection was turned away.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// It did not prove itself.
    #[error("a connection to the supervisors' socket was turned away")]
    Handshake(#[from] HandshakeError),
    /// The name it proved is none of a container.
    #[error("a supervisor named {0:?}, which is no container")]
    NoContainer(String),
    /// The container has a live tunnel already. Worth an alarm: the secret may be stolen.
    #[error("a second supervisor came for container {0} while the first is connected")]
    Duplicate(ContainerUuid),
}

impl TunnelAcceptor {
    /// Enters whom it admits into `registry`. `identity` is this process's side of every tunnel.
    pub fn new(
        store: Store,
        identity: Identity,
        config: &DispatchConfig,
        domain: ServiceDomain,
        registry: Registry,
    ) -> Self {
        let starts = Starts::default();
        let control = Control {
            recorder: Recorder::new(store.clone(), config.clone(), domain, starts.clone()),
            orders: Orders::new(),
            ways: Ways::new(),
            stop_grace: config.stop_grace,
        };
        let (data_dir, period) = (config.data_dir.clone(), config.period);
        Self { data_dir, store, identity, registry, control, period, starts }
    }

    /// Where it counts how starts went.
    pub fn starts(&self) -> Starts {
        self.starts.clone()
    }

    /// Keeps orders in line with the records, who is to stop and which ways are shut, for as long as it is polled; one for
    /// all clones.
    pub async fn follow_records(self) {
        let stops = self.control.orders.follow(&self.store, &self.registry, self.period);
        let ways = self.control.ways.follow(&self.store, &self.registry, self.period);
        tokio::join!(stops, ways);
    }

    /// Handshake, then registry. Bounded by the deadlines of the handshake and of a sign of life.
    ///
    /// Call it on the runtime that will spawn [`Admitted::driver`].
    pub async fn admit<IO>(&self, io: IO) -> Result<Admitted, AdmitError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let lookup = |name| self.secret_of(name);
        let (io, name) = tunnel::secure::accept(io, &self.identity, lookup).await?;
        let Ok(container) = ContainerUuid::parse(&name) else {
            return Err(AdmitError::NoContainer(name));
        };
        self.clear_place(&name).await;
        let (tunnel, incoming, driver) = tunnel::start(io, Role::Controller, Limits::controller());
        if self.registry.insert(&name, tunnel.clone(), incoming).is_err() {
            // Tells the peer why; bounded by the tunnel's close deadline.
            driver.await;
            return Err(AdmitError::Duplicate(container));
        }
        let incoming = self.registry.take_incoming(&name);
        let control = self.control.clone();
        let serving = tunnel.clone();
        let control = async move {
            if let Some(incoming) = incoming {
                control.serve(container, serving, incoming).await;
            }
        };
        let driver = driver.map(move |reason| {
            tracing::debug!(container.uuid = %container, %reason, "supervisor disconnected");
        });
        tracing::debug!(container.uuid = %container, "supervisor connected");
        Ok(Admitted { container, tunnel, driver: driver.boxed(), control: control.boxed() })
    }

    /// A supervisor whose network broke comes again before we have noticed: its old tunnel, which
    /// answers no more, makes way. One that answers keeps its place.
    async fn clear_place(&self, name: &str) {
        if let Some(older) = self.registry.get(name)
            && !older.is_answering().await
        {
            older.close();
        }
    }

    /// The secret of a live launch. The name comes from outside: it becomes a path only once it is
    /// a container's identifier.
    async fn secret_of(&self, name: String) -> Option<LaunchSecret> {
        let container = ContainerUuid::parse(&name).ok()?;
        let path = ContainerDir::of(&self.data_dir, container).secret();
        let text = tokio::fs::read_to_string(path).await.ok()?;
        LaunchSecret::from_hex(&text)
    }
}
