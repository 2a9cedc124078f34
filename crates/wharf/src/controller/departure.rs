//! Coming down: at once, or after another process has taken our place.

use super::Controller;
use crate::service_manager;
use anyhow::Result;
use lifecycle::Signals;
use std::time::Duration;

/// Why a controller ends.
enum Farewell {
    /// A signal.
    Stopped,
    /// The process with this number serves in our place.
    Replaced(i32),
}

impl Controller {
    /// Serves until a signal asks it to stop, or another process has taken its place; then comes down.
    pub(crate) async fn serve(mut self, mut signals: Signals) -> Result<()> {
        match self.wait_for_farewell(&mut signals).await {
            Farewell::Stopped => {}
            Farewell::Replaced(pid) => self.give_way(pid, &mut signals).await,
        }
        self.stop(signals).await
    }

    async fn wait_for_farewell(&mut self, signals: &mut Signals) -> Farewell {
        let successor = self.door.successor(&self.legacy);
        tokio::pin!(successor);
        loop {
            tokio::select! {
                signal = signals.next() => {
                    tracing::info!(?signal, "stopping; running services stay");
                    return Farewell::Stopped;
                }
                () = self.upgrades.next() => {
                    self.relaunch.start(self.listen, self.address, &self.work);
                }
                pid = &mut successor => return Farewell::Replaced(pid),
            }
        }
    }

    /// Begins nothing any more, and keeps what is open until it ends, a signal comes, or the time is up. Supervisors
    /// keep their tunnels to us meanwhile, also those that are new.
    async fn give_way(&mut self, pid: i32, signals: &mut Signals) {
        tracing::info!(pid, "another process serves in our place: open connections go on");
        service_manager::tell(&format!("MAINPID={pid}"));
        self.edge.leave();
        self.dispatching.cancel();
        self.metrics.cancel();
        // The other process has its own hold of these; ours would outlast it.
        self.legacy.listeners.clear();
        self.legacy.seat = None;
        let bound = self.config.shutdown.upgrade_drain;
        tokio::select! {
            () = self.edge.ended() => tracing::info!("the last connection has ended"),
            () = tokio::time::sleep(bound) => tracing::warn!(
                ?bound, "connections that are still open are cut (Shutdown.UpgradeDrain)"
            ),
            signal = signals.next() => tracing::info!(?signal, "told to stop before all had ended"),
        }
    }

    /// Comes down. Running containers stay.
    pub(crate) async fn stop(self, mut signals: Signals) -> Result<()> {
        let Self { ladder, config, store, edge, .. } = self;
        edge.close();
        let shutdown = &config.shutdown;
        let hurry = async {
            signals.next().await;
        };
        let report = ladder.descend(Duration::ZERO, shutdown.end_timeout, hurry).await;
        if !edge.join(shutdown.drain_grace + shutdown.end_timeout).await {
            tracing::warn!("open connections were cut");
        }
        store.close().await;
        tracing::info!(left = ?report.left, "stopped");
        Ok(())
    }
}
