//! Whether an open stream may still go on: asked anew whenever records change.
//!
//! Level-triggered: what changed does not matter, the same question is asked as at the gate. A burst of changes is
//! one question.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::authorize::{self, Caller};
use crate::directory::{Directory, HostTarget};
use crate::route::{self, Reach};

/// Resolves when a stream may not go on; the longest time from change to end is [`SETTLE`] and one question.
pub(crate) struct Revoked(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Revoked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoked(…)")
    }
}

/// Changes come in bursts; a stream asks once for all within this time.
const SETTLE: Duration = Duration::from_millis(200);

/// What a stream was let in with.
pub(crate) struct Standing {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) host: HostTarget,
    pub(crate) reach: Reach,
    pub(crate) caller: Caller,
    pub(crate) allow_unpublished_ports: bool,
}

impl Standing {
    /// Watches the records; `None` where nothing tells of changes.
    pub(crate) fn watch(self) -> Option<Revoked> {
        let mut changes = self.directory.changes()?;
        Some(Revoked(Box::pin(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(SETTLE).await;
                changes.mark_unchanged();
                if !self.still_holds().await {
                    return;
                }
            }
            // Nobody tells of changes any more: the process is on its way down.
            std::future::pending::<()>().await;
        })))
    }

    /// The gate's question. Records that cannot be read end no stream that was let in.
    async fn still_holds(&self) -> bool {
        let target = match self.directory.find(&self.host).await {
            Ok(Some(target)) => target,
            Ok(None) => return false,
            Err(_unknown) => return true,
        };
        if route::reach(&target, self.allow_unpublished_ports) != self.reach {
            return false;
        }
        match &self.caller {
            Caller::Anyone => target.is_public(),
            Caller::User { proof, .. } => {
                authorize::allowed(&*self.directory, &target, proof.clone())
                    .await
                    .map_or(true, |principal| principal.is_some())
            }
        }
    }
}
