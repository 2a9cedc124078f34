//! Numbers as their decimal text: a default of forty digits comes out digit for digit.

use std::fmt;

/// Longest text that a number may have once its exponent is written out: the largest `double` has
/// 309 digits, the smallest one some 340 behind its point.
const DIGITS_MAX: i64 = 400;

/// A decimal number without an exponent, such as `-3`, `0.5` or a one with forty noughts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// Reads JSON's grammar of numbers, and a leading `+` or point as YAML has them. The exponent
    /// is written out; `None` if it is too large for that, or if this is no number.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let body = if unsigned.contains(['e', 'E']) {
            expand(whole, fraction, exponent)?
        } else if mantissa.contains('.') {
            let whole = if whole.is_empty() { "0" } else { whole };
            let fraction = if fraction.is_empty() { "0" } else { fraction };
            format!("{whole}.{fraction}")
        } else {
            whole.to_owned()
        };
        Some(Self(if negative { format!("-{body}") } else { body }))
    }

    /// Whether it has no point.
    pub fn is_integer(&self) -> bool {
        !self.0.contains('.')
    }

    /// As 64 bits with a sign, where it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The nearest floating-point number.
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A finite floating-point number; whole ones become integers.
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| format!("{number}")).and_then(|text| Self::parse(&text))
    }
}

/// Moves the point as an exponent says.
fn expand(whole: &str, fraction: &str, exponent: i64) -> Option<String> {
    let all = format!("{whole}{fraction}");
    let length = i64::try_from(all.len()).ok()?;
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    if exponent.abs() > DIGITS_MAX || length > 2 * DIGITS_MAX {
        return None;
    }
    let text = if point <= 0 {
        let noughts = usize::try_from(-point).ok()?;
        format!("0.{}{all}", "0".repeat(noughts))
    } else if point >= length {
        let noughts = usize::try_from(point - length).ok()?;
        format!("{all}{}", "0".repeat(noughts))
    } else {
        let (before, behind) = all.split_at(usize::try_from(point).ok()?);
        format!("{before}.{behind}")
    };
    let trimmed = text.trim_start_matches('0');
    let text = match trimmed.chars().next() {
        None => "0".to_owned(),
        Some('.') => format!("0{trimmed}"),
        Some(_) => trimmed.to_owned(),
    };
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Some(text.to_owned())
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stay_and_exponents_are_written_out() {
        let cases = [
            ("42", "42"),
            ("-0", "-0"),
            ("3.0", "3.0"),
            ("+7", "7"),
            (".5", "0.5"),
            ("1e3", "1000"),
            ("1.5e1", "15"),
            ("1E-3", "0.001"),
            ("0.00001e-5", "0.0000000001"),
            ("12.34e1", "123.4"),
            ("0e5", "0"),
            ("1e+21", "1000000000000000000000"),
        ];
        for (text, expected) in cases {
            assert_eq!(Number::parse(text).unwrap().as_str(), expected, "{text}");
        }
        let long = "4".repeat(60);
        assert_eq!(Number::parse(&long).unwrap().as_str(), long);
        for text in ["", "-", "1.2.3", "e5", "1e", "1e999999999", "0x1", "1_000", "NaN"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn whole_floats_become_integers() {
        assert_eq!(Number::from_f64(3.0).unwrap().as_str(), "3");
        assert_eq!(Number::from_f64(0.25).unwrap().as_str(), "0.25");
        assert_eq!(Number::from_f64(f64::NAN), None);
    }
}
