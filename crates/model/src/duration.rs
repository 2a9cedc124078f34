//! Lengths of time as they are written, whatever the units are called.

/// A sum such as `1h30m`, in the smallest unit; `worth` says what one of a unit is. None where it is no such sum, a number
/// has no unit, or the sum is too large.
pub fn sum_of_units(text: &str, worth: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let part = number.parse::<u64>().ok()?.checked_mul(worth(unit)?)?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}
