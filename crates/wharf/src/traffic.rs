//! Keeps what the proxy counts: what was asked of each container since the last time goes into its history.
//!
//! Every controller does so for its own requests, at the same ends of slots by the clock, so that a history holds what
//! went through all of them.

use crate::histories::{Histories, now_s};
use history::{History, PERIOD_S, Traffic};
use lifecycle::CancellationToken;
use model::ContainerUuid;
use proxy::{PortCounted, PortKey, Proxy};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A port that nobody asked for in a quarter of an hour, the shortest range shown, is forgotten.
const N_IDLE_READS_MAX: u32 = 180;

/// Writes until cancelled, and then what is left.
pub(crate) async fn keep(proxy: Arc<Proxy>, histories: Histories, token: CancellationToken) {
    let mut before: HashMap<PortKey, PortCounted> = HashMap::new();
    let mut read_at = Instant::now();
    loop {
        let waited = token.run_until_cancelled(tokio::time::sleep(until_slot_ends())).await;
        let now: HashMap<PortKey, PortCounted> =
            proxy.read_traffic(N_IDLE_READS_MAX).into_iter().collect();
        let passed = since(&before, &now, read_at.elapsed());
        (before, read_at) = (now, Instant::now());
        let histories = histories.clone();
        let written = tokio::task::spawn_blocking(move || write(&histories, &passed)).await;
        if let Err(error) = written {
            tracing::error!(%error, "what was asked of containers was not written");
        }
        if waited.is_none() {
            return;
        }
    }
}

fn until_slot_ends() -> Duration {
    let period = u128::from(PERIOD_S) * 1000;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let rest = period - now.as_millis() % period;
    Duration::from_millis(u64::try_from(rest).unwrap_or(PERIOD_S * 1000))
}

/// What was counted between two readings, by container.
fn since(
    before: &HashMap<PortKey, PortCounted>,
    now: &HashMap<PortKey, PortCounted>,
    time: Duration,
) -> HashMap<ContainerUuid, Traffic> {
    let mut passed: HashMap<ContainerUuid, Traffic> = HashMap::new();
    let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    for (key, counted) in now {
        let Some((container, _port)) = key else { continue };
        let old = before.get(key).copied().unwrap_or_default();
        let sum = passed.entry(*container).or_default();
        history::Figures::add(
            sum,
            &Traffic {
                by_class: less(counted.by_class, old.by_class),
                first_byte: less(counted.first_byte.buckets, old.first_byte.buckets),
                bytes_in: counted.bytes_in.saturating_sub(old.bytes_in),
                bytes_out: counted.bytes_out.saturating_sub(old.bytes_out),
                // As if they had been open since the last reading: on average that evens out.
                open_ms: counted.n_open.saturating_mul(time_ms),
            },
        );
    }
    passed
}

fn less<const N: usize>(now: [u64; N], before: [u64; N]) -> [u64; N] {
    std::array::from_fn(|at| now[at].saturating_sub(before[at]))
}

fn write(histories: &Histories, passed: &HashMap<ContainerUuid, Traffic>) {
    // A little ago the slot that is told of had not ended.
    let slot_s = now_s().saturating_sub(1);
    for (container, traffic) in passed {
        let path = histories.traffic(container);
        let written = History::open(&path).and_then(|history| history.add(slot_s, traffic));
        match written {
            // A container that is long over: its folder has gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%container, %error, "what was asked of a container was not written");
            }
            Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_a_container_add_up_and_only_what_is_new_counts() {
        let container = ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap();
        let counted = |n: u64| PortCounted {
            by_class: [0, n, 0, 0, 0],
            bytes_in: 10 * n,
            n_open: 1,
            ..PortCounted::default()
        };
        let before = HashMap::from([(Some((container, 80)), counted(5))]);
        let now = HashMap::from([
            (Some((container, 80)), counted(7)),
            (Some((container, 81)), counted(1)),
            (None, counted(100)),
        ]);
        let passed = since(&before, &now, Duration::from_secs(5));
        let expected = Traffic {
            by_class: [0, 3, 0, 0, 0],
            bytes_in: 30,
            open_ms: 10_000,
            ..Traffic::default()
        };
        assert_eq!(passed, HashMap::from([(container, expected)]));
    }
}
