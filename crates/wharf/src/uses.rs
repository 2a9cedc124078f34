//! Tells the records which containers are used, by way of this controller: soon when one is used again, and then seldom.

use lifecycle::CancellationToken;
use model::{ContainerUuid, Timestamp};
use proxy::Uses;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use store::Store;

/// Between looks at what is used: what is told first is at most this old.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// What was told of one container.
#[derive(Debug, Clone, Copy)]
struct Told {
    used_at: Instant,
    at: Instant,
}

/// Tells until cancelled, and then what is left. While a container is used, once in each `interval`.
pub(crate) async fn tell(uses: Uses, store: Store, interval: Duration, cancel: CancellationToken) {
    let mut told = HashMap::new();
    loop {
        let rest = cancel.run_until_cancelled(tokio::time::sleep(LOOK_PERIOD)).await;
        let interval = if rest.is_some() { interval } else { Duration::ZERO };
        let news = news(&uses, &told, interval);
        if !news.is_empty() {
            let now = (Instant::now(), store.now());
            let entries = news.iter().map(|(uuid, used_at)| (*uuid, time_of(*used_at, now)));
            match store.note_use(entries.collect()).await {
                Ok(()) => {
                    let entry = |(uuid, used_at)| (uuid, Told { used_at, at: now.0 });
                    told.extend(news.into_iter().map(entry));
                }
                Err(error) => tracing::warn!(%error, "cannot note now which containers are used"),
            }
        }
        if rest.is_none() {
            return;
        }
    }
}

/// Who was used since it was told, and whose turn it is.
fn news(
    uses: &Uses,
    told: &HashMap<ContainerUuid, Told>,
    interval: Duration,
) -> Vec<(ContainerUuid, Instant)> {
    let list = uses.list().into_iter();
    list.filter_map(|one| Some((one.container, one.used_at?)))
        .filter(|(uuid, used_at)| {
            let before = told.get(uuid);
            before.is_none_or(|told| *used_at > told.used_at && told.at.elapsed() >= interval)
        })
        .collect()
}

fn time_of(at: Instant, (now, time): (Instant, Timestamp)) -> Timestamp {
    let ago = now.saturating_duration_since(at);
    time.as_jiff().checked_sub(ago).map_or(time, Timestamp::from_jiff)
}
