//! How long a container may live: its greatest age, and how long nobody may use it. When it ends, why, and when that is
//! told beforehand.
//!
//! Pure: the same rule for the dispatcher, who ends it, and for the API and the pages, who say when that will be.

use std::time::Duration;

use serde_json::Value;

use crate::duration::sum_of_units;
use crate::records::{Container, JsonMap};
use crate::state::ContainerState;
use crate::timestamp::Timestamp;

/// Member of `scheduling_parameters`: seconds that the program may run; 0 is no limit (Arvados).
pub const MAX_RUN_TIME: &str = "max_run_time";
/// Member of `scheduling_parameters`: seconds after which a service that nobody uses is stopped; 0, or none, is never.
pub const IDLE_TIME: &str = "idle_time";

/// What begins the sentence that tells an end beforehand, so that it is told from other warnings.
pub const NOTICE: &str = "stops at ";

/// The limits of one container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifeLimits {
    /// Greatest age, from the start of its program.
    pub max_run: Option<Duration>,
    /// Longest time without use.
    pub idle: Option<Duration>,
}

impl LifeLimits {
    /// What `scheduling_parameters` say.
    pub fn of(scheduling: &JsonMap) -> Self {
        let seconds = |name| scheduling.get(name).and_then(Value::as_u64).filter(|n| *n > 0);
        Self {
            max_run: seconds(MAX_RUN_TIME).map(Duration::from_secs),
            idle: seconds(IDLE_TIME).map(Duration::from_secs),
        }
    }

    /// Those of a container that several requests share: each gets at least what it asked for.
    pub fn of_all(requests: impl IntoIterator<Item = Self>) -> Self {
        let longest = |one: Option<Duration>, other: Option<Duration>| Some(one?.max(other?));
        requests
            .into_iter()
            .reduce(|one, other| Self {
                max_run: longest(one.max_run, other.max_run),
                idle: longest(one.idle, other.idle),
            })
            .unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What a site adds to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifePolicy {
    /// How long before the end it is told; of a limit shorter than four times this, a quarter.
    pub warn_before: Duration,
    /// By how much what is known of the last use may be behind.
    pub use_lag: Duration,
}

impl LifePolicy {
    /// `use_interval` is the time between notes of one container's use: what is written may be one note behind, and the
    /// note may be on its way.
    pub fn new(warn_before: Duration, use_interval: Duration) -> Self {
        Self { warn_before, use_lag: 2 * use_interval }
    }
}

/// What is known of a running container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When its program began.
    pub started_at: Timestamp,
    /// When it was last used; its start, or when it could first be used, at the earliest.
    pub used_at: Timestamp,
    /// It is not ended for want of use before this.
    pub kept_until: Option<Timestamp>,
    /// When its end was told, if it was.
    pub warned_at: Option<Timestamp>,
    /// What ends it.
    pub limits: LifeLimits,
}

/// What is written of a running container's use, beside its record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifeNotes {
    /// When somebody, or its own work, last used it.
    pub used_at: Option<Timestamp>,
    /// It is not ended for want of use before this.
    pub kept_until: Option<Timestamp>,
    /// When its end was told.
    pub warned_at: Option<Timestamp>,
}

impl LifeNotes {
    /// The life of the container that they are of; none unless it runs. Nobody could use it before its ports were
    /// ready, so its time without use begins then.
    pub fn life_of(&self, container: &Container) -> Option<Life> {
        let started_at =
            container.started_at.filter(|_| container.state == ContainerState::Running)?;
        let ready = container.published_ports.iter().filter_map(|(_, entry)| entry.ready_at?);
        let used_at = ready.chain(self.used_at).fold(started_at, Timestamp::max);
        Some(Life {
            started_at,
            used_at,
            kept_until: self.kept_until,
            warned_at: self.warned_at,
            limits: LifeLimits::of(&container.scheduling_parameters),
        })
    }
}

/// Why a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfLife {
    /// Nobody used it for so long.
    Unused(Duration),
    /// It has run for so long.
    TooOld(Duration),
}

/// An end that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedEnd {
    /// When, if nothing happens meanwhile.
    pub at: Timestamp,
    /// When that is told.
    pub warn_at: Timestamp,
    /// Why.
    pub why: EndOfLife,
}

/// What is to be done about a life now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it has no limit, or its end is far.
    Nothing,
    /// Tell the end that is to come.
    Warn(PlannedEnd),
    /// End it.
    End(EndOfLife),
}

impl Life {
    /// The end that is to come first, as things stand at `now`.
    ///
    /// Nobody loses work unwarned: one that nobody uses ends no earlier than `warn_before` after that was told, however
    /// long there was nobody to tell it. The greatest age is what it is.
    pub fn planned_end(&self, policy: LifePolicy, now: Timestamp) -> Option<PlannedEnd> {
        let too_old = self.limits.max_run.map(|limit| {
            let at = after(self.started_at, limit);
            let warn_at = before(at, warning_of(policy, limit));
            PlannedEnd { at, warn_at, why: EndOfLife::TooOld(limit) }
        });
        let unused = self.limits.idle.map(|limit| {
            let unused_at = after(after(self.used_at, limit), policy.use_lag);
            let at = self.kept_until.map_or(unused_at, |kept| kept.max(unused_at));
            let warning = warning_of(policy, limit);
            let warn_at = before(at, warning);
            // An earlier warning was of an end that did not come.
            let warned_at = self.warned_at.filter(|warned| *warned >= warn_at);
            let told_at = warned_at.unwrap_or(now);
            let at = if now >= warn_at { at.max(after(told_at, warning)) } else { at };
            PlannedEnd { at, warn_at, why: EndOfLife::Unused(limit) }
        });
        match (too_old, unused) {
            (Some(one), Some(other)) => Some(if one.at <= other.at { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    /// What is to be done at `now`.
    pub fn due(&self, policy: LifePolicy, now: Timestamp) -> Due {
        match self.planned_end(policy, now) {
            Some(end) if now >= end.at => Due::End(end.why),
            Some(end) if now >= end.warn_at => Due::Warn(end),
            _ => Due::Nothing,
        }
    }
}

impl EndOfLife {
    /// How the record says it afterwards.
    pub fn words(self) -> String {
        match self {
            Self::Unused(limit) => {
                format!("stopped because nobody used it for {}", duration_words(limit))
            }
            Self::TooOld(limit) => format!(
                "stopped because it had run for {}, its maximum life",
                duration_words(limit)
            ),
        }
    }

    /// The same as one word, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused(_) => IDLE_TIME,
            Self::TooOld(_) => MAX_RUN_TIME,
        }
    }
}

impl PlannedEnd {
    /// How the record says it beforehand; begins with [`NOTICE`].
    pub fn notice(&self) -> String {
        let at = self.at.as_jiff().strftime("%Y-%m-%d %H:%M UTC").to_string();
        let why = match self.why {
            EndOfLife::Unused(limit) => {
                format!("if nobody uses it: it may be unused for {}", duration_words(limit))
            }
            EndOfLife::TooOld(limit) => {
                format!("when it has run for {}, its maximum life", duration_words(limit))
            }
        };
        format!("{NOTICE}{at} {why}")
    }
}

fn warning_of(policy: LifePolicy, limit: Duration) -> Duration {
    policy.warn_before.min(limit / 4)
}

/// A later time; the end of time where there is none.
pub fn after(at: Timestamp, duration: Duration) -> Timestamp {
    let jiff = at.as_jiff().checked_add(duration).unwrap_or(jiff::Timestamp::MAX);
    Timestamp::from_jiff(jiff)
}

fn before(at: Timestamp, duration: Duration) -> Timestamp {
    let jiff = at.as_jiff().checked_sub(duration).unwrap_or(jiff::Timestamp::MIN);
    Timestamp::from_jiff(jiff)
}

const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];

/// A time as people write it: `2 h`, `1 d 12 h`, `90 s` as `1 min 30 s`; whole seconds.
pub fn duration_words(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut words = Vec::new();
    for (unit, seconds) in UNITS {
        if rest >= seconds {
            words.push(format!("{} {unit}", rest / seconds));
            rest %= seconds;
        }
    }
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

/// Reads what people write: `2h`, `2 h`, `1d 12h`, `90 min`, `1h30m`, `300 s`. A bare number has no unit and is refused.
///
/// # Errors
/// What is wrong, with an example.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let worth = |unit: &str| {
        let unit = if unit == "m" { "min" } else { unit };
        UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds)
    };
    let problem = || format!("{text:?} is no length of time; write for example 30 min, 2 h or 3 d");
    sum_of_units(&compact, worth).map(Duration::from_secs).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const POLICY: LifePolicy =
        LifePolicy { warn_before: Duration::from_secs(600), use_lag: Duration::from_secs(60) };

    /// So many seconds after the start.
    fn at(second: u64) -> Timestamp {
        after("2026-11-23T12:00:00Z".parse().unwrap(), Duration::from_secs(second))
    }

    fn limits(max_run: u64, idle: u64) -> LifeLimits {
        let scheduling = json!({ "max_run_time": max_run, "idle_time": idle });
        LifeLimits::of(scheduling.as_object().unwrap())
    }

    fn life(limits: LifeLimits) -> Life {
        Life { started_at: at(0), used_at: at(0), kept_until: None, warned_at: None, limits }
    }

    #[test]
    fn each_limit_ends_a_life_at_its_time_and_warns_before() {
        const HOUR: u64 = 3600;
        // (max_run_time, idle_time, now): warned or ended
        for (max_run, idle, now, expected) in [
            (0, 0, 1_000_000, "nothing"),
            (HOUR, 0, HOUR - 601, "nothing"),
            (HOUR, 0, HOUR - 600, "warn max_run_time"),
            (HOUR, 0, HOUR, "end max_run_time"),
            // A quarter of a short limit.
            (40, 0, 29, "nothing"),
            (40, 0, 30, "warn max_run_time"),
            (0, HOUR, HOUR + 60 - 601, "nothing"),
            (0, HOUR, HOUR + 60 - 600, "warn idle_time"),
            // Never told before: told first.
            (0, HOUR, 10 * HOUR, "warn idle_time"),
            (HOUR, HOUR, HOUR, "end max_run_time"),
            (2 * HOUR, HOUR, HOUR, "warn idle_time"),
        ] {
            let due = match life(limits(max_run, idle)).due(POLICY, at(now)) {
                Due::Nothing => "nothing".to_owned(),
                Due::Warn(end) => format!("warn {}", end.why.as_str()),
                Due::End(why) => format!("end {}", why.as_str()),
            };
            assert_eq!(due, expected, "{max_run} {idle} at {now}");
        }
    }

    #[test]
    fn one_that_nobody_uses_ends_only_after_a_warning_of_that_very_end() {
        let unused = life(limits(0, 3600));
        let told = |second| Life { warned_at: Some(at(second)), ..unused };
        assert_eq!(told(3060).planned_end(POLICY, at(3100)).unwrap().at, at(3660));
        assert!(matches!(told(3060).due(POLICY, at(3660)), Due::End(EndOfLife::Unused(_))));
        // Nobody watched at the time: told at 9000, and over 10 minutes later.
        assert!(matches!(told(9000).due(POLICY, at(9599)), Due::Warn(_)));
        assert!(matches!(told(9000).due(POLICY, at(9600)), Due::End(_)));
        // Used since: the old warning counts for nothing.
        let used = Life { used_at: at(3500), ..told(3060) };
        assert_eq!(used.due(POLICY, at(3660)), Due::Nothing);
        assert_eq!(used.planned_end(POLICY, at(3660)).unwrap().at, at(3500 + 3660));
        assert!(matches!(used.due(POLICY, at(90_000)), Due::Warn(_)));
    }

    #[test]
    fn one_that_is_kept_lives_until_then() {
        let kept = Life { kept_until: Some(at(9000)), ..life(limits(0, 3600)) };
        assert_eq!(kept.planned_end(POLICY, at(4000)).unwrap().at, at(9000));
        let short = Life { kept_until: Some(at(10)), ..kept };
        assert_eq!(short.planned_end(POLICY, at(0)).unwrap().at, at(3660));
    }

    #[test]
    fn who_shares_a_container_gets_what_they_asked_for() {
        let shared = |all: &[(u64, u64)]| {
            LifeLimits::of_all(all.iter().map(|(max_run, idle)| limits(*max_run, *idle)))
        };
        assert_eq!(shared(&[]), LifeLimits::default());
        assert_eq!(shared(&[(10, 5), (20, 3)]), limits(20, 5));
        assert_eq!(shared(&[(10, 5), (0, 3)]), limits(0, 5));
    }

    #[test]
    fn ends_are_told_in_words() {
        let end = life(limits(0, 7200)).planned_end(POLICY, at(0)).unwrap();
        assert_eq!(
            end.notice(),
            "stops at 2026-11-23 14:01 UTC if nobody uses it: it may be unused for 2 h"
        );
        assert_eq!(end.why.words(), "stopped because nobody used it for 2 h");
        let end = life(limits(90, 0)).planned_end(POLICY, at(0)).unwrap();
        let words = "stopped because it had run for 1 min 30 s, its maximum life";
        assert_eq!(end.why.words(), words);
    }

    #[test]
    fn times_read_back_as_they_are_written() {
        for (text, seconds) in [
            ("2h", 7200),
            ("2 h", 7200),
            ("1h30m", 5400),
            ("1 d 12 h", 129_600),
            ("90 min", 5400),
            ("45 s", 45),
            ("0 s", 0),
        ] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(parse_duration(&duration_words(duration)), Ok(duration), "{text}");
        }
        for text in ["", "2", "h", "-1 h", "1.5 h", "2 weeks", "99999999999999999999 d", "2h 5"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
