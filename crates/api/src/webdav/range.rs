//! The `Range` header, for one range of bytes (RFC 9110 section 14).

use std::ops::Range;

/// What part of a file is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes, at least one.
    Bytes(Range<u64>),
    /// None of what was asked for is there.
    Unsatisfiable,
}

/// The part that a header asks for. What is no single range of bytes is passed over, as the RFC wants
/// it.
pub(crate) fn part_of(header: Option<&str>, size: u64) -> Part {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Part::Whole };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (first, last) {
        ("", last) => match number(last) {
            None => return Part::Whole,
            Some(n) => size.saturating_sub(n)..size,
        },
        (first, "") => match number(first) {
            None => return Part::Whole,
            Some(first) => first..size,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Part::Whole,
        },
    };
    if range.is_empty() { Part::Unsatisfiable } else { Part::Bytes(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        let check = |text: &str, size, expected| {
            assert_eq!(part_of(Some(text), size), expected, "{text}");
        };
        check("bytes=0-0", 10, Part::Bytes(0..1));
        check("bytes=2-4", 10, Part::Bytes(2..5));
        check("bytes=2-", 10, Part::Bytes(2..10));
        check("bytes=-3", 10, Part::Bytes(7..10));
        check("bytes=-30", 10, Part::Bytes(0..10));
        check("bytes=5-99999999999999999999999", 10, Part::Bytes(5..10));
        check("bytes=10-", 10, Part::Unsatisfiable);
        check("bytes=-0", 10, Part::Unsatisfiable);
        check("bytes=0-5", 0, Part::Unsatisfiable);
        for other in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=3-2",
            "bytes=0-1,3-4",
            "lines=1-2",
        ] {
            check(other, 10, Part::Whole);
        }
        assert_eq!(part_of(None, 10), Part::Whole);
    }

    #[test]
    fn ranges_of_a_log_are_read_as_rfc_9110_says() {
        let check = |text: &str, expected| assert_eq!(part_of(Some(text), 100), expected, "{text}");
        check("bytes=0-9", Part::Bytes(0..10));
        check("bytes=90-", Part::Bytes(90..100));
        check("bytes=90-1000", Part::Bytes(90..100));
        check("bytes=-10", Part::Bytes(90..100));
        check("bytes=-1000", Part::Bytes(0..100));
        check("bytes=100-", Part::Unsatisfiable);
        check("bytes=-0", Part::Unsatisfiable);
        check("bytes=9-0", Part::Whole);
        check("bytes=0-1,3-4", Part::Whole);
        check("lines=1-2", Part::Whole);
    }
}
