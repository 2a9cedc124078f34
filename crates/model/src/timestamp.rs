//! Points in time as Arvados writes them: RFC 3339, UTC, nine fraction digits, `Z`.
//!
//! The width is fixed, so the text sorts as the time does and equality survives a round trip
//! (clients page by `created_at = <what you sent me>`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A point in time with nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Wraps a point in time read from a clock.
    pub fn from_jiff(at: jiff::Timestamp) -> Self {
        Self(at)
    }

    /// For arithmetic.
    pub fn as_jiff(&self) -> jiff::Timestamp {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Any RFC 3339 spelling; one without a zone is UTC, as Arvados clients mean it.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>()
            .or_else(|with_zone| format!("{text}Z").parse().map_err(|_without_zone| with_zone))
            .map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_written_with_nine_digits() {
        for (text, expected) in [
            ("2026-11-23T20:58:45Z", "2026-11-23T20:58:45.000000000Z"),
            ("2026-11-23T20:58:45.123456", "2026-11-23T20:58:45.123456000Z"),
            ("2026-11-23T21:58:45.5+01:00", "2026-11-23T20:58:45.500000000Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), expected);
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
