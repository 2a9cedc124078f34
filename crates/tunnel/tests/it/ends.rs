//! Both ends of a tunnel over a real socket, with an echoing or a silent supervisor.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tunnel::{
    CloseReason, Identity, Incoming, LaunchSecret, Limits, RefuseReason, Role, Stream, StreamKind,
    Tunnel, secure, start,
};

pub(crate) const UUID: &str = "wharf-dz642-000000000000001";

/// Ports by which the supervisor of these tests knows what to do with a stream.
pub(crate) const ECHO: StreamKind = StreamKind::App(7);
pub(crate) const SOURCE: StreamKind = StreamKind::App(19);
pub(crate) const HOLD: StreamKind = StreamKind::App(9);
pub(crate) const CLOSED: StreamKind = StreamKind::App(1);

pub(crate) struct Ends {
    pub(crate) controller: Tunnel,
    pub(crate) supervisor: Tunnel,
    pub(crate) _controller_incoming: Incoming,
    pub(crate) drivers: [JoinHandle<CloseReason>; 2],
    pub(crate) serving: JoinHandle<()>,
}

impl Ends {
    /// Ends the tunnel and waits for all tasks.
    pub(crate) async fn finish(self) {
        self.controller.close();
        for driver in self.drivers {
            bounded(driver).await.unwrap();
        }
        bounded(self.serving).await.unwrap();
    }
}

/// No test waits longer than this for anything.
pub(crate) async fn bounded<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(60), future).await.expect("the event came in time")
}

pub(crate) async fn over_unix() -> Ends {
    let (near, far) = UnixStream::pair().unwrap();
    over(near, far).await
}

pub(crate) async fn over_tcp() -> Ends {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (near, _) = listener.accept().await.unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    over(near, far).await
}

pub(crate) async fn over<A, B>(near: A, far: B) -> Ends
where
    A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let secret = LaunchSecret::generate().unwrap();
    let identity = Identity::generate().unwrap();
    let (accepted, dialled) = tokio::join!(
        secure::accept(near, &identity, |_| async { Some(secret.clone()) }),
        secure::dial(far, UUID, &secret),
    );
    let (near, uuid) = accepted.unwrap();
    assert_eq!(uuid, UUID);
    let (controller, controller_incoming, first) =
        start(near, Role::Controller, Limits::controller());
    let (supervisor, incoming, second) =
        start(dialled.unwrap(), Role::Supervisor, Limits::supervisor());
    Ends {
        controller,
        supervisor,
        _controller_incoming: controller_incoming,
        drivers: [tokio::spawn(first), tokio::spawn(second)],
        serving: tokio::spawn(serve(incoming)),
    }
}

/// The supervisor of these tests: one task per stream, all gone when it returns.
async fn serve(mut incoming: Incoming) {
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(request) = incoming.next().await {
        match request.kind.clone() {
            kind if kind == ECHO => drop(tasks.spawn(echo(request.accept()))),
            kind if kind == SOURCE => drop(tasks.spawn(pour(request.accept()))),
            kind if kind == HOLD => drop(tasks.spawn(hold(request.accept()))),
            kind if kind == CLOSED => request.refuse(RefuseReason::PortClosed),
            _ => request.refuse(RefuseReason::Unsupported),
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Sends back what comes, then the end.
async fn echo(mut stream: Stream) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 {
            stream.shutdown().await.ok();
            return;
        }
        if stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// Sends for as long as anybody takes it.
async fn pour(mut stream: Stream) {
    let piece = vec![0x55; 64 * 1024];
    while stream.write_all(&piece).await.is_ok() {}
}

/// Reads nothing until the tunnel ends or the peer goes.
async fn hold(mut stream: Stream) {
    while stream.write_all(b"still here").await.is_ok() {}
}
