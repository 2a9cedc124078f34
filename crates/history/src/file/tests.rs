use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Traffic, Usage};

/// 2026-12-03 12:00 UTC, where a slot of every span begins.
const NOON_S: u64 = 1_796_299_200;

fn used(cpu_us: u64) -> Usage {
    Usage { watched_ms: 5_000, cpu_us, memory_bytes_max: cpu_us, n_processes_max: 2, oom_kills: 0 }
}

#[test]
fn what_was_not_measured_is_a_gap_in_every_span() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("usage");
    let missing = Series::<Usage>::read(&path, Span::Day, NOON_S).unwrap();
    assert_eq!(missing.slots, vec![None; 288]);
    let history = History::open(&path).unwrap();
    history.add(NOON_S - 5, &used(1_000)).unwrap();
    history.add(NOON_S - 15, &used(3_000)).unwrap();
    let series = Series::<Usage>::read(&path, Span::Quarter, NOON_S + 1).unwrap();
    assert_eq!(series.end_s, NOON_S);
    assert_eq!(series.slots[176..], [None, Some(used(3_000)), None, Some(used(1_000))]);
    assert!(series.slots[..176].iter().all(Option::is_none));
    for span in [Span::Hour, Span::Day, Span::Week] {
        let series = Series::<Usage>::read(&path, span, NOON_S + 1).unwrap();
        let last = series.slots.last().unwrap().unwrap();
        assert_eq!((last.cpu_us, last.watched_ms, last.memory_bytes_max), (4_000, 10_000, 3_000));
    }
}

#[test]
fn a_file_of_another_layout_is_begun_anew_and_an_unfinished_one_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("usage");
    History::open(&path).unwrap().add(NOON_S, &used(1)).unwrap();
    let other = Series::<Traffic>::read(&path, Span::Hour, NOON_S + 6).unwrap();
    assert!(other.slots.iter().all(Option::is_none));
    History::<Traffic>::open(&path).unwrap();
    let ours = Series::<Usage>::read(&path, Span::Hour, NOON_S + 6).unwrap();
    assert!(ours.slots.iter().all(Option::is_none));
    std::fs::write(&path, b"whf").unwrap();
    let unfinished = Series::<Usage>::read(&path, Span::Hour, NOON_S + 6).unwrap();
    assert!(unfinished.slots.iter().all(Option::is_none));
}

#[test]
fn what_several_controllers_saw_at_the_same_time_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traffic");
    let saw = |n: u64| Traffic { by_class: [0, n, 0, 0, 0], open_ms: 5_000, ..Traffic::default() };
    let writers: Vec<_> = (1..=4_u64)
        .map(|n| {
            let path = path.clone();
            std::thread::spawn(move || {
                let history = History::open(&path).unwrap();
                for _ in 0..50 {
                    history.add(NOON_S, &saw(n)).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let series = Series::<Traffic>::read(&path, Span::Quarter, NOON_S + 6).unwrap();
    let last = series.slots.last().unwrap().unwrap();
    assert_eq!((last.by_class[1], last.open_ms), (500, 1_000_000));
}

#[test]
fn the_last_slot_counts_only_the_seconds_that_are_over() {
    let series = Series::<Usage>::empty(Span::Day, NOON_S + 46);
    assert_eq!((series.seconds_of(287), series.seconds_of(286)), (45, 300));
}

proptest! {
    /// Whatever is added in whatever order of times: a span shows each slot's sum if it was the last time that fell
    /// into its place, and a gap otherwise.
    #[test]
    fn a_ring_shows_what_a_map_would(adds in prop::collection::vec((0_u64..2_000_000, 1_u64..1_000), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage");
        let history = History::open(&path).unwrap();
        for span in Span::ALL {
            let mut model: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for (at, cpu) in &adds {
                let start = slot_start(span, NOON_S + at);
                let place = start / span.period_s() % span.n_slots();
                let entry = model.entry(place).or_insert((start, 0));
                *entry = if entry.0 == start { (start, entry.1 + cpu) } else { (start, *cpu) };
            }
            if span == Span::Quarter {
                for (at, cpu) in &adds {
                    history.add(NOON_S + at, &used(*cpu)).unwrap();
                }
            }
            let now_s = NOON_S + 1_000_000;
            let series = Series::<Usage>::read(&path, span, now_s).unwrap();
            for (slot, shown) in series.slots.iter().enumerate() {
                let start = series.start_s + slot as u64 * series.period_s;
                let place = start / span.period_s() % span.n_slots();
                let expected = model.get(&place).filter(|(at, _)| *at == start).map(|(_, cpu)| *cpu);
                prop_assert_eq!(shown.map(|it| it.cpu_us), expected);
            }
        }
    }
}
