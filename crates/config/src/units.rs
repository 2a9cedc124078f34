//! Sizes and durations as people write them: `1GiB`, `512M`, `10s`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use model::duration::sum_of_units;

/// A number of bytes. Parses `1073741824`, `1GiB`, `1G` (binary, as in container tools) and `1GB` (decimal).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Suffix, in lower case and without the trailing `b`, and factor.
const SIZE_UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

impl ByteSize {
    /// That many bytes.
    pub const fn bytes(n: u64) -> Self {
        Self(n)
    }

    /// That many KiB (1024 bytes).
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// That many MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// That many GiB.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// In bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In bytes, as large as this machine can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is no size; write for example 512MiB or 2GiB");
        let text = text.trim();
        let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits_end);
        let unit = unit.trim().to_ascii_lowercase();
        // "KiB" and "Ki" are the same, "KB" and "K" are not; a lone "B" means bytes.
        let unit = match unit.strip_suffix("ib") {
            Some(prefix) => format!("{prefix}i"),
            None if unit == "b" => String::new(),
            None => unit,
        };
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = whole.parse().map_err(|_not_a_number| problem())?;
        let bytes = whole.checked_mul(*factor).ok_or_else(problem)?;
        let part = fraction_of(fraction, *factor).ok_or_else(problem)?;
        bytes.checked_add(part).map(Self).ok_or_else(problem)
    }
}

/// `0.<digits>` of `factor`, rounded down, in integers: a size must not depend on float rounding.
fn fraction_of(digits: &str, factor: u64) -> Option<u64> {
    if digits.is_empty() {
        return Some(0);
    }
    // More digits than this cannot change a byte of any unit.
    let digits = digits.get(..digits.len().min(15))?;
    let scale = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let part = digits.parse::<u128>().ok()? * u128::from(factor) / scale;
    u64::try_from(part).ok()
}

impl fmt::Display for ByteSize {
    /// In the largest unit that is exact (`1536MiB`), so that it parses back to the same number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Parses `500ms`, `10s`, `5m`, `12h`, `7d` and sums such as `1h30m`. A bare number is refused: it has no unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let worth = |unit: &str| TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    let problem = || format!("{text:?} is no duration; write for example 500ms, 10s, 5m or 12h");
    sum_of_units(text.trim(), worth).map(Duration::from_millis).ok_or_else(problem)
}

/// As [`parse_duration`] reads it: `1h30m`, `10s`, `0s`. Anything below a millisecond is cut off.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (unit, ms) in TIME_UNITS.iter().rev() {
        if rest >= *ms {
            shown.push_str(&(rest / ms).to_string());
            shown.push_str(unit);
            rest %= ms;
        }
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        let check = |text: &str, bytes: u64| {
            assert_eq!(text.parse::<ByteSize>().map(ByteSize::get), Ok(bytes), "{text}");
        };
        check("0", 0);
        check("1024", 1024);
        check("10B", 10);
        check("1KiB", 1024);
        check("1Ki", 1024);
        check("1k", 1024);
        check("1kB", 1000);
        check("1GiB", 1 << 30);
        check("1gib", 1 << 30);
        check("1g", 1 << 30);
        check("2 GB", 2_000_000_000);
        check("1.5GiB", 3 << 29);
        check("0.1k", 102);
        check("16383PiB".get(..5).unwrap(), 16383);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "GiB", "-1", "1 Gi B", "1x", "1.2.3", ".5G", "99999999999TiB", "1e3", "٣"]
        {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert!(error.contains("512MiB"), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_print_as_they_parse() {
        for text in ["0", "1", "1023", "1KiB", "1536MiB", "3TiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn durations_as_people_write_them() {
        let check = |text: &str, ms: u64| {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        };
        check("0s", 0);
        check("500ms", 500);
        check("10s", 10_000);
        check("1h30m", 5_400_000);
        check("7d", 604_800_000);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "10", "s", "1 s", "-1s", "1.5h", "1w", "99999999999999999999s", "10s5"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_print_as_they_parse() {
        for text in ["0s", "500ms", "10s", "1h30m", "2d", "1s500ms"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }
}
