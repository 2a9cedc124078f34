//! Times for people: how long ago, with the exact time beside it.

use model::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `3 min`, `2 h 5 min`, `4 days`; never negative. The page's script says the same with the same words.
pub(crate) fn length(seconds: i64) -> String {
    match seconds.max(0) {
        s if s < MINUTE => format!("{s} s"),
        s if s < HOUR => format!("{} min", s / MINUTE),
        s if s < DAY && s % HOUR < MINUTE => format!("{} h", s / HOUR),
        s if s < DAY => format!("{} h {} min", s / HOUR, s % HOUR / MINUTE),
        s if s < 2 * DAY => "1 day".to_owned(),
        s => format!("{} days", s / DAY),
    }
}

/// `just now`, `3 min ago`. A time in the future (another clock) is just now.
pub(crate) fn ago(at: &Timestamp, now: &Timestamp) -> String {
    match now.as_jiff().as_second() - at.as_jiff().as_second() {
        s if s < 10 => "just now".to_owned(),
        s => format!("{} ago", length(s)),
    }
}

/// `2026-11-23 20:58:45 UTC`.
pub(crate) fn exact(at: &Timestamp) -> String {
    at.as_jiff().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The machine-readable form for `<time datetime>`, whole seconds.
pub(crate) fn machine(at: &Timestamp) -> String {
    at.as_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `340 ms`, `4.2 s`, then as [`length`].
pub(crate) fn between(from: &Timestamp, to: &Timestamp) -> String {
    let millis = (to.as_jiff().as_millisecond() - from.as_jiff().as_millisecond()).max(0);
    match millis {
        ms if ms < 1000 => format!("{ms} ms"),
        ms if ms < 10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms => length(ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::from_second(1_800_000_000 + seconds).unwrap())
    }

    #[test]
    fn lengths_read_like_a_person_would_say_them() {
        let cases = [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86_400, "1 day"),
            (200_000, "2 days"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(length(seconds), expected);
        }
    }

    #[test]
    fn a_clock_that_runs_ahead_does_not_show() {
        assert_eq!(ago(&at(60), &at(0)), "just now");
        assert_eq!(ago(&at(0), &at(180)), "3 min ago");
    }

    #[test]
    fn exact_times_are_utc() {
        assert_eq!(exact(&at(0)), "2027-01-15 08:00:00 UTC");
        assert_eq!(machine(&at(0)), "2027-01-15T08:00:00Z");
        assert_eq!(between(&at(0), &at(75)), "1 min");
    }
}
