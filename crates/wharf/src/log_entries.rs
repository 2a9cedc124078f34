//! Takes old entries out of the log of what happened to records, a bounded number at a time.

use config::AuditLogs;
use std::time::Duration;
use store::Store;
use tokio::time::sleep;

/// Between looks for entries that are too old; looking costs one query.
const PERIOD: Duration = Duration::from_secs(60);
/// Between two steps where there are many, so that others can write.
const PAUSE: Duration = Duration::from_millis(200);

/// Goes on until it is dropped.
pub(crate) async fn prune(store: &Store, kept: &AuditLogs) {
    loop {
        let pause = match store.prune_logs(kept.age_max, kept.delete_batch_max).await {
            Ok(n_deleted) if n_deleted >= u64::from(kept.delete_batch_max) => PAUSE,
            Ok(_) => PERIOD,
            Err(error) => {
                tracing::warn!(%error, "old log entries stay for now");
                PERIOD
            }
        };
        sleep(pause).await;
    }
}
