//! Plots as geometry: curves over slots of time become paths of an SVG, one unit wide for each slot and [`HEIGHT`]
//! high. What was not measured is a hole in the curve, never zero.

use std::fmt::Write as _;

use model::Timestamp;
use model::metrics::Slots;

use super::size;

/// Height of a plot in its own units; whole numbers are fine enough.
pub(crate) const HEIGHT: u32 = 200;

/// What the numbers of a plot are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Of one CPU; the numbers are CPUs.
    Percent,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Seconds,
    Number,
}

/// One curve.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// Its class in the style sheet.
    pub(crate) tone: &'static str,
    pub(crate) values: Slots<f64>,
}

/// Curves over the same time.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// Of its element; fit for an `id`.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    /// Each curve lies on those before it.
    pub(crate) is_stacked: bool,
    pub(crate) curves: Vec<Curve>,
    /// What cannot be exceeded.
    pub(crate) limit: Option<f64>,
    /// Slots in which something happened, and what, in words.
    pub(crate) marks: Vec<usize>,
    pub(crate) mark_words: &'static str,
}

impl Unit {
    /// A number for people.
    pub(crate) fn words(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.0} %", value * 100.0),
            Self::Bytes => size::words(whole(value)),
            Self::BytesPerSecond => format!("{}/s", size::words(whole(value))),
            Self::PerSecond => format!("{}/s", plain(value)),
            Self::Seconds if value < 1.0 => format!("{} ms", plain(value * 1000.0)),
            Self::Seconds => format!("{} s", plain(value)),
            Self::Number => plain(value),
        }
    }

    /// The next number at or above `value` that reads well on an axis.
    fn ceiling(self, value: f64) -> f64 {
        let steps: &[f64] = match self {
            Self::Bytes | Self::BytesPerSecond => &[1.0, 2.0, 4.0, 8.0, 16.0],
            _ => &[1.0, 2.0, 5.0, 10.0],
        };
        let (base, least) = match self {
            Self::Bytes | Self::BytesPerSecond => (16.0, 1024.0),
            Self::Percent => (10.0, 0.1),
            Self::Seconds => (10.0, 0.001),
            Self::PerSecond | Self::Number => (10.0, 1.0),
        };
        let value = f64::max(value, least);
        let scale = f64::powf(base, value.log(base).floor());
        let step = steps.iter().find(|step| **step * scale >= value * 0.999_999);
        step.map_or(value, |step| step * scale)
    }
}

impl Plot {
    /// The upper end of its axis.
    pub(crate) fn ceiling(&self) -> f64 {
        let tops = (0..self.n_slots()).filter_map(|slot| self.top(slot));
        let most = tops.fold(0.0, f64::max);
        match self.limit {
            Some(limit) if limit >= most => limit,
            _ => self.unit.ceiling(most),
        }
    }

    /// How many slots it shows.
    pub(crate) fn n_slots(&self) -> usize {
        self.curves.first().map_or(0, |curve| curve.values.len())
    }

    /// Whether there is anything to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.curves.iter().all(|curve| curve.values.iter().all(Option::is_none))
    }

    /// The path of a curve: a line, or the area between it and the one that it lies on.
    pub(crate) fn path(&self, curve: usize) -> String {
        let ceiling = self.ceiling();
        let height = |value: f64| level(value, ceiling);
        let mut path = String::new();
        for run in runs(&self.curves[curve].values) {
            let upper: Vec<i64> =
                run.clone().map(|slot| height(self.sum(curve + 1, slot))).collect();
            let (at, first) = (run.start, upper[0]);
            let _infallible = write!(path, "M{at} {first}");
            // A slot is as wide as it is long: one alone is still seen.
            path.push_str("h1");
            steps(&mut path, &upper);
            if self.is_stacked {
                let lower: Vec<i64> = run.map(|slot| height(self.sum(curve, slot))).rev().collect();
                let _infallible = write!(path, "V{}", lower[0]);
                path.push_str("h-1");
                back(&mut path, &lower);
                path.push('z');
            }
        }
        path
    }

    /// Where its limit lies.
    pub(crate) fn limit_level(&self) -> Option<i64> {
        self.limit.map(|limit| level(limit, self.ceiling()))
    }

    /// The newest number of a curve.
    pub(crate) fn latest(&self, curve: usize) -> Option<f64> {
        self.curves[curve].values.iter().rev().find_map(|value| *value)
    }

    /// The rows of its table, newest first: one for each slot that was measured, one for each stretch that was not.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for slot in (0..self.n_slots()).rev() {
            let is_gap = self.curves.iter().all(|curve| curve.values[slot].is_none());
            match rows.last_mut() {
                Some(Row::Gap { from, .. }) if is_gap => *from = slot,
                _ if is_gap => rows.push(Row::Gap { from: slot, to: slot }),
                _ => rows.push(Row::Measured(slot)),
            }
        }
        rows
    }

    /// What is drawn below a curve, with that many curves; a line lies on nothing.
    fn sum(&self, n_curves: usize, slot: usize) -> f64 {
        let value = |curve: &Curve| curve.values[slot].unwrap_or_default();
        match self.is_stacked {
            true => self.curves.iter().take(n_curves).map(value).sum(),
            false => n_curves.checked_sub(1).map_or(0.0, |curve| value(&self.curves[curve])),
        }
    }

    fn top(&self, slot: usize) -> Option<f64> {
        let values = self.curves.iter().filter_map(|curve| curve.values[slot]);
        match self.is_stacked {
            true => Some(values.sum()),
            false => values.reduce(f64::max),
        }
    }
}

/// A row of a plot's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// A slot with numbers.
    Measured(usize),
    /// The first and last slot of a stretch without.
    Gap { from: usize, to: usize },
}

/// Fifteen bars of a small plot, as high as their share of `full`, at most 10; the path is to be stroked.
pub(crate) fn bars(values: &[Option<f64>], full: f64) -> String {
    let mut path = String::new();
    for (at, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let share = if full > 0.0 { (value / full).clamp(0.0, 1.0) } else { 0.0 };
            // What was measured is seen, even if it was next to nothing.
            let _infallible = write!(path, "M{at}.5 10v-{}", whole((share * 10.0).max(1.0)));
        }
    }
    path
}

/// When a slot begins, as its range needs it.
pub(crate) fn clock(start: &Timestamp, period_seconds: u64, slot: usize) -> String {
    let passed = i64::try_from(period_seconds * slot as u64).unwrap_or(0);
    let at = start.as_jiff().checked_add(jiff::SignedDuration::from_secs(passed));
    let at = at.unwrap_or(start.as_jiff());
    let format = match period_seconds {
        0..60 => "%H:%M:%S",
        60..1800 => "%H:%M",
        _ => "%a %H:%M",
    };
    at.strftime(format).to_string()
}

fn runs(values: &[Option<f64>]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (slot, _) in values.iter().enumerate().filter(|(_, value)| value.is_some()) {
        match runs.last_mut() {
            Some(run) if run.end == slot => run.end += 1,
            _ => runs.push(slot..slot + 1),
        }
    }
    runs
}

/// Each slot holds its level for its whole width.
fn steps(path: &mut String, levels: &[i64]) {
    for pair in levels.windows(2) {
        if pair[0] != pair[1] {
            let _infallible = write!(path, "v{}", pair[1] - pair[0]);
        }
        path.push_str("h1");
    }
}

fn back(path: &mut String, levels: &[i64]) {
    for pair in levels.windows(2) {
        if pair[0] != pair[1] {
            let _infallible = write!(path, "v{}", pair[1] - pair[0]);
        }
        path.push_str("h-1");
    }
}

/// From above, as SVG counts.
#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn level(value: f64, ceiling: f64) -> i64 {
    let share = if ceiling > 0.0 { (value / ceiling).clamp(0.0, 1.0) } else { 0.0 };
    i64::from(HEIGHT) - (share * f64::from(HEIGHT)).round() as i64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// Two digits where they count.
fn plain(value: f64) -> String {
    let digits = match value {
        _ if value == value.round() => 0,
        _ if value < 1.0 => 2,
        _ if value < 10.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests;
