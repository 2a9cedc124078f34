//! Sizes for people, in binary units.

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `512 MiB`, `1.5 GiB`, `17 B`; one digit behind the point below ten.
pub(crate) fn words(bytes: u64) -> String {
    let mut unit = 0;
    let mut scaled = bytes;
    let mut rest = 0;
    while scaled >= 1024 && unit + 1 < UNITS.len() {
        rest = scaled % 1024;
        scaled /= 1024;
        unit += 1;
    }
    match rest * 10 / 1024 {
        0 => format!("{scaled} {}", UNITS[unit]),
        tenth if scaled < 10 => format!("{scaled}.{tenth} {}", UNITS[unit]),
        _ => format!("{scaled} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn sizes_are_in_binary_units() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1 << 30, "1 GiB"),
            ((1 << 30) + (1 << 29), "1.5 GiB"),
            (256 << 20, "256 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(words(bytes), expected);
        }
    }
}
