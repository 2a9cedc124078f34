//! What the API needs of whoever has figures of containers, and how they become series.

use futures_util::future::BoxFuture;
use history::latency::quantile_us;
use history::{Figures, Series, Span, Traffic, Usage};
use model::metrics::{ByClass, ContainerMetrics, Quantiles, RecentUsage, Slots};
use model::{Container, ContainerUuid, Timestamp};

/// Slots of 5 s that make one of the minutes of [`RecentUsage`].
const SLOTS_OF_A_MINUTE: usize = 12;

/// Both histories of one container.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerFigures {
    /// What it used.
    pub usage: Series<Usage>,
    /// What was asked of it.
    pub traffic: Series<Traffic>,
}

/// Whoever has the histories of containers.
pub trait FigureSource: Send + Sync {
    /// Both histories of one container; gaps alone where there are none. Errors are words for people.
    fn of<'a>(
        &'a self,
        container: &'a ContainerUuid,
        span: Span,
    ) -> BoxFuture<'a, Result<ContainerFigures, String>>;

    /// What several containers used, in their order.
    fn usages(
        &self,
        containers: Vec<ContainerUuid>,
        span: Span,
    ) -> BoxFuture<'_, Result<Vec<Series<Usage>>, String>>;
}

/// One container's figures for the wire.
pub(crate) fn metrics_of(
    container: &Container,
    span: Span,
    figures: &ContainerFigures,
) -> ContainerMetrics {
    let ContainerFigures { usage, traffic } = figures;
    let class = |at: usize| rates(traffic, |it| it.by_class[at]);
    let quantile = |share| slots(traffic, |it| quantile_us(&it.first_byte, share).map(seconds));
    let limits = &container.runtime_constraints;
    ContainerMetrics {
        container_uuid: container.uuid,
        range: span.as_str().to_owned(),
        start: timestamp(usage.start_s),
        period_seconds: usage.period_s,
        vcpus: limits.vcpus,
        memory_limit_bytes: limits.ram,
        cpu_cores: slots(usage, |it| it.cores().map(short)),
        memory_bytes: memory(usage),
        // A slot that only marks an end was not measured.
        processes: slots(usage, |it| (it.watched_ms > 0).then_some(it.n_processes_max)),
        oom_kills: slots(usage, |it| Some(it.oom_kills)),
        requests_per_second: ByClass {
            informational: class(0),
            success: class(1),
            redirection: class(2),
            client_error: class(3),
            server_error: class(4),
        },
        first_byte_seconds: Quantiles { p50: quantile(0.5), p95: quantile(0.95) },
        bytes_in_per_second: rates(traffic, |it| it.bytes_in),
        bytes_out_per_second: rates(traffic, |it| it.bytes_out),
        open_connections: rates(traffic, |it| it.open_ms)
            .into_iter()
            .map(|rate| rate.map(|milliseconds| short(milliseconds / 1000.0)))
            .collect(),
    }
}

/// The last 15 minutes, minute by minute.
pub(crate) fn recent_of(container_uuid: ContainerUuid, usage: &Series<Usage>) -> RecentUsage {
    let minutes = usage.slots.chunks(SLOTS_OF_A_MINUTE).map(|slots| {
        slots.iter().flatten().copied().reduce(|mut sum, slot| {
            sum.add(&slot);
            sum
        })
    });
    let series = Series { slots: minutes.collect(), ..usage.clone() };
    let cpu_cores = slots(&series, |it| it.cores().map(short));
    RecentUsage { container_uuid, cpu_cores, memory_bytes: memory(&series) }
}

fn memory(usage: &Series<Usage>) -> Slots<u64> {
    slots(usage, |it| (it.watched_ms > 0).then_some(it.memory_bytes_max))
}

fn slots<F: Copy, T>(series: &Series<F>, of: impl Fn(F) -> Option<T>) -> Slots<T> {
    series.slots.iter().map(|slot| slot.and_then(&of)).collect()
}

/// Counts as rates over the part of their slot that is over.
#[expect(clippy::cast_precision_loss, reason = "a plot has fewer digits than 2^52")]
fn rates<F: Figures>(series: &Series<F>, count: impl Fn(&F) -> u64) -> Slots<f64> {
    let slots = series.slots.iter().enumerate();
    slots
        .map(|(at, slot)| {
            slot.as_ref().map(|it| short(count(it) as f64 / series.seconds_of(at) as f64))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "below a minute, in microseconds")]
fn seconds(microseconds: u64) -> f64 {
    short(microseconds as f64 / 1e6)
}

/// Four digits behind the point: a tenth of a millisecond, a hundredth of a percent of a CPU.
fn short(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

fn timestamp(at_s: u64) -> Timestamp {
    let at_s = i64::try_from(at_s).unwrap_or(i64::MAX);
    Timestamp::from_jiff(jiff::Timestamp::from_second(at_s).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(watched_ms: u64, cpu_us: u64, memory_bytes_max: u64) -> Option<Usage> {
        Some(Usage { watched_ms, cpu_us, memory_bytes_max, ..Usage::default() })
    }

    #[test]
    fn a_minute_holds_what_its_slots_held_and_a_gap_stays_one() {
        let mut series = Series::empty(Span::Quarter, 1_796_299_201);
        series.slots[0] = used(5_000, 5_000_000, 7);
        series.slots[1] = used(5_000, 0, 9);
        series.slots[179] = used(2_500, 2_500_000, 1);
        let uuid = ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap();
        let recent = recent_of(uuid, &series);
        assert_eq!(recent.cpu_cores.len(), 15);
        assert_eq!((recent.cpu_cores[0], recent.memory_bytes[0]), (Some(0.5), Some(9)));
        assert_eq!((recent.cpu_cores[1], recent.memory_bytes[1]), (None, None));
        assert_eq!(recent.cpu_cores[14], Some(1.0));
    }

    #[test]
    fn counts_become_rates_over_the_time_that_is_over() {
        // 45 s into a slot of five minutes.
        let mut series = Series::<Traffic>::empty(Span::Day, 1_796_299_246);
        let asked = Traffic { by_class: [0, 90, 0, 0, 0], ..Traffic::default() };
        series.slots[286] = Some(asked);
        series.slots[287] = Some(asked);
        let rates = rates(&series, |it| it.by_class[1]);
        assert_eq!(rates[285..], [None, Some(0.3), Some(2.0)]);
    }
}
