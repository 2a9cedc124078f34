//! The edge's thread with its own runtime, as the rest of the process holds it.

use super::{Descent, EdgeLimits, Rooms, Surroundings, serve};
use anyhow::{Context, Result};
use lifecycle::CancellationToken;
use std::net;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

/// A running edge; it comes down when dropped.
#[derive(Debug)]
pub(crate) struct EdgeThread {
    handle: Handle,
    /// Where the listening sockets go, once.
    sockets: Option<oneshot::Sender<Vec<net::TcpListener>>>,
    descent: Descent,
    ended: CancellationToken,
}

impl EdgeThread {
    /// Starts the thread, which accepts nothing yet; open connections have `grace` at its end.
    pub(crate) fn start(
        rooms: Arc<Rooms>,
        tls: Arc<rustls::ServerConfig>,
        limits: EdgeLimits,
        grace: Duration,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the edge's runtime")?;
        let handle = runtime.handle().clone();
        let descent = Descent::default();
        let around = Surroundings::new(rooms, tls, limits, descent.clone());
        let (sender, sockets) = oneshot::channel();
        let ended = CancellationToken::new();
        let at_end = ended.clone().drop_guard();
        std::thread::Builder::new()
            .name("edge".to_owned())
            .spawn(move || {
                run(&runtime, sockets, around, grace);
                drop(runtime);
                drop(at_end);
            })
            .context("start the edge's thread")?;
        Ok(Self { handle, sockets: Some(sender), descent, ended })
    }

    /// The runtime on which tunnels are driven.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Accepts connections from now on.
    pub(crate) fn accept(&mut self, sockets: Vec<net::TcpListener>) {
        if let Some(waiting) = self.sockets.take()
            && waiting.send(sockets).is_err()
        {
            tracing::error!("the edge has ended before it began");
        }
    }

    /// Accepts nothing any more, and lets open connections go on until their clients have no more use for them: they
    /// are told at their next request, an idle one is not closed under a request on its way.
    pub(crate) fn leave(&self) {
        self.descent.leaving.cancel();
    }

    /// Accepts nothing any more, and lets open connections finish what they are at.
    pub(crate) fn close(&self) {
        self.descent.leaving.cancel();
        self.descent.closing.cancel();
    }

    /// Waits until all connections have ended, after [`EdgeThread::leave`].
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits for its end; false if that did not come within `bound`.
    pub(crate) async fn join(self, bound: Duration) -> bool {
        tokio::time::timeout(bound, self.ended.cancelled()).await.is_ok()
    }
}

impl Drop for EdgeThread {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(
    runtime: &Runtime,
    sockets: oneshot::Receiver<Vec<net::TcpListener>>,
    around: Surroundings,
    grace: Duration,
) {
    runtime.block_on(async move {
        let leaving = around.descent.leaving.clone();
        // Tunnels are driven meanwhile.
        let Some(Ok(sockets)) = leaving.run_until_cancelled(sockets).await else { return };
        match sockets.into_iter().map(TcpListener::from_std).collect() {
            Ok(listeners) => serve(listeners, around, grace).await,
            Err(error) => tracing::error!(error = %error, "the edge cannot listen"),
        }
    });
}
