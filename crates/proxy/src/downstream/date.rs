//! The time as `Date` has it, written once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
const DATE_BYTES: usize = 29;

struct Written {
    at_s: u64,
    text: [u8; DATE_BYTES],
}

thread_local! {
    static WRITTEN: RefCell<Written> = const { RefCell::new(Written { at_s: 0, text: [b' '; DATE_BYTES] }) };
}

/// The time now.
pub(super) fn now() -> [u8; DATE_BYTES] {
    let now = SystemTime::now();
    // A clock before 1970 is not set; its date is as good as any.
    let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    WRITTEN.with_borrow_mut(|written| {
        if written.at_s != now_s
            && let Ok(text) = <[u8; DATE_BYTES]>::try_from(httpdate::fmt_http_date(now).as_bytes())
        {
            *written = Written { at_s: now_s, text };
        }
        written.text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_date_of_now() {
        for _again in 0..2 {
            let written = now();
            let text = std::str::from_utf8(&written).unwrap();
            let read = httpdate::parse_http_date(text).unwrap();
            assert!(read.elapsed().unwrap().as_secs() < 5, "{text}");
        }
    }
}
