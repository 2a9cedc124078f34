//! What takes longer than a look: launching, sweeping, burying. One task per container.

use std::time::Duration;

use model::{Container, ContainerEnd, ContainerState, ContainerUuid, Outcome as End, Timestamp};
use tokio::time::Instant;

use crate::dispatcher::Parts;
use crate::launch;

/// After a failure that may pass; failing again at once would only fill the log.
const REST: Duration = Duration::from_secs(10);

/// How the work went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Try again after a rest.
    Failed,
}

/// Ends the business of a container when dropped.
pub(super) struct Release {
    parts: Parts,
    uuid: ContainerUuid,
    /// What drop finds if the work did not come to its end.
    pub(super) outcome: Outcome,
}

impl Release {
    pub(super) fn new(parts: Parts, uuid: ContainerUuid) -> Self {
        Self { parts, uuid, outcome: Outcome::Failed }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let mut book = self.parts.book();
        match self.outcome {
            Outcome::Done => book.busy.remove(&self.uuid),
            Outcome::Failed => book.busy.insert(self.uuid, Some(Instant::now() + REST)),
        };
        drop(book);
        if self.outcome == Outcome::Done {
            self.parts.nudge.notify_one();
        }
    }
}

/// Locks the record, unless it is, and starts its supervisor; ends it in words if that fails.
pub(super) async fn launch(parts: Parts, record: Container) -> Outcome {
    let uuid = record.uuid;
    let store = &parts.store;
    if record.state == ContainerState::Queued {
        match store.lock_container(uuid, &parts.config.name).await {
            Ok(true) => {}
            // Cancelled meanwhile.
            Ok(false) => return Outcome::Done,
            Err(error) => {
                tracing::warn!(container.uuid = %uuid, %error, "cannot lock a container");
                return Outcome::Failed;
            }
        }
    }
    // What it waited for is past; costs no write where nothing was said.
    if let Err(error) = store.set_scheduling_status(uuid, "").await {
        tracing::warn!(container.uuid = %uuid, %error, "cannot clear why a container waited");
    }
    *parts.book().n_launches.entry(uuid).or_default() += 1;
    let launched =
        launch::launch(&record, store, &parts.config, &parts.images, &parts.backend).await;
    let Err(error) = launched else {
        tracing::info!(container.uuid = %uuid, "container launched");
        return Outcome::Done;
    };
    let reason = error.words();
    tracing::warn!(container.uuid = %uuid, %reason, "container could not be launched");
    let end = ContainerEnd {
        outcome: End::FailedToStart,
        finished_at: store.now(),
        reason,
        oom_killed: false,
    };
    bury(parts, uuid, None, end).await
}

/// Removes what is left of a supervisor, records the end, and forgets it. A sweep that fails does
/// not keep the record waiting: it is tried again, as the directory is not forgotten.
pub(super) async fn bury(
    parts: Parts,
    uuid: ContainerUuid,
    started_at: Option<Timestamp>,
    end: ContainerEnd,
) -> Outcome {
    let swept = sweep_only(&parts, uuid).await;
    tracing::info!(container.uuid = %uuid, reason = %end.reason, "container is over");
    if let Err(error) = parts.recorder.end(uuid, started_at, &end).await {
        tracing::warn!(container.uuid = %uuid, %error, "cannot record the end of a container");
        return Outcome::Failed;
    }
    if swept { forget(&parts, uuid).await } else { Outcome::Failed }
}

/// Removes what is left of a supervisor, and forgets it.
pub(super) async fn sweep(parts: Parts, uuid: ContainerUuid) -> Outcome {
    if sweep_only(&parts, uuid).await { forget(&parts, uuid).await } else { Outcome::Failed }
}

async fn sweep_only(parts: &Parts, uuid: ContainerUuid) -> bool {
    match parts.backend.sweep(uuid).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(container.uuid = %uuid, %error, "cannot sweep");
            false
        }
    }
}

async fn forget(parts: &Parts, uuid: ContainerUuid) -> Outcome {
    match parts.backend.forget(uuid).await {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!(container.uuid = %uuid, %error, "cannot forget a container");
            Outcome::Failed
        }
    }
}
