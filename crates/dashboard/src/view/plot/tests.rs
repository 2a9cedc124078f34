use super::*;

fn plot(curves: &[&[Option<f64>]], is_stacked: bool, limit: Option<f64>) -> Plot {
    let curve = |values: &&[Option<f64>]| Curve { name: "x", tone: "a", values: values.to_vec() };
    Plot {
        id: "cpu",
        title: "CPU",
        unit: Unit::Percent,
        is_stacked,
        curves: curves.iter().map(curve).collect(),
        limit,
        marks: Vec::new(),
        mark_words: "",
    }
}

#[test]
fn a_gap_is_a_hole_in_the_line_and_a_lone_slot_is_seen() {
    let values = [Some(0.5), Some(1.0), None, Some(0.0)];
    let plot = plot(&[&values], false, Some(1.0));
    assert_eq!(plot.path(0), "M0 100h1v-100h1M3 200h1");
    assert_eq!(plot.latest(0), Some(0.0));
    assert_eq!(plot.limit_level(), Some(0));
}

#[test]
fn stacked_areas_lie_on_each_other() {
    let plot = plot(&[&[Some(0.25), Some(0.5)], &[Some(0.25), Some(0.5)]], true, None);
    assert_eq!(plot.ceiling(), 1.0);
    assert_eq!(plot.path(0), "M0 150h1v-50h1V200h-1h-1z");
    assert_eq!(plot.path(1), "M0 100h1v-100h1V100h-1v50h-1z");
}

#[test]
fn the_axis_ends_at_the_limit_or_at_a_number_that_reads_well() {
    for (unit, most, limit, expected) in [
        (Unit::Percent, 0.3, Some(2.0), 2.0),
        (Unit::Percent, 2.4, Some(2.0), 5.0),
        (Unit::Percent, 0.0, None, 0.1),
        (Unit::Seconds, 0.034, None, 0.05),
        (Unit::PerSecond, 130.0, None, 200.0),
        (Unit::Bytes, 700.0 * 1024.0, None, 1024.0 * 1024.0),
        (Unit::Bytes, 1024.0 * 1024.0, None, 1024.0 * 1024.0),
    ] {
        let plot = Plot { unit, ..plot(&[&[Some(most)]], false, limit) };
        let (ceiling, close) = (plot.ceiling(), expected * 1e-9);
        assert!((ceiling - expected).abs() <= close, "{unit:?} {most}: {ceiling}");
    }
}

#[test]
fn rows_are_the_slots_newest_first_with_one_for_each_gap() {
    let plot = plot(&[&[None, None, Some(0.1), None, Some(0.2)]], false, None);
    let gap = |from, to| Row::Gap { from, to };
    assert_eq!(plot.rows(), [Row::Measured(4), gap(3, 3), Row::Measured(2), gap(0, 1)]);
    assert!(!plot.is_empty());
}

#[test]
fn numbers_are_words_with_units() {
    for (unit, value, words) in [
        (Unit::Percent, 0.973, "97 %"),
        (Unit::Bytes, 1_572_864.0, "1.5 MiB"),
        (Unit::BytesPerSecond, 2048.0, "2 KiB/s"),
        (Unit::PerSecond, 0.25, "0.25/s"),
        (Unit::PerSecond, 12.7, "13/s"),
        (Unit::Seconds, 0.0042, "4.2 ms"),
        (Unit::Seconds, 1.25, "1.2 s"),
        (Unit::Number, 3.0, "3"),
    ] {
        assert_eq!(unit.words(value), words);
    }
}

#[test]
fn small_bars_show_what_was_measured_and_nothing_else() {
    assert_eq!(
        bars(&[None, Some(0.0), Some(0.5), Some(9.0)], 1.0),
        "M1.5 10v-1M2.5 10v-5M3.5 10v-10"
    );
    assert_eq!(bars(&[Some(1.0)], 0.0), "M0.5 10v-1");
}

#[test]
fn times_are_as_fine_as_their_range() {
    let start = "2026-11-28T12:00:00Z".parse().unwrap();
    assert_eq!(clock(&start, 5, 3), "12:00:15");
    assert_eq!(clock(&start, 300, 3), "12:15");
    assert_eq!(clock(&start, 1800, 3), "Sat 13:30");
}
