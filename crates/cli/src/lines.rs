//! Log lines as the API sends them, taken apart as they arrive in pieces.

/// Longest line held back; what is longer is passed on in parts.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Cuts a byte stream into lines without their ends.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Adds a piece and hands every line that is complete to `take`.
    pub(crate) fn push(&mut self, piece: &[u8], mut take: impl FnMut(&[u8])) {
        let mut piece = piece;
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, after) = piece.split_at(end);
            if self.rest.is_empty() {
                take(line);
            } else {
                self.rest.extend_from_slice(line);
                take(&self.rest);
                self.rest.clear();
            }
            piece = after.get(1..).unwrap_or_default();
        }
        self.rest.extend_from_slice(piece);
        if self.rest.len() > LINE_BYTES_MAX {
            take(&std::mem::take(&mut self.rest));
        }
    }

    /// Hands out what is left when the stream ends without a line end.
    pub(crate) fn finish(self, mut take: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            take(&self.rest);
        }
    }
}

/// One line of a log: `[<stream> ]<RFC 3339 time>Z <text>`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLine<'l> {
    /// `stdout`, `stderr` or `crunch-run`; only in merged logs.
    pub(crate) stream: Option<&'l str>,
    /// The time as written, empty where there is none.
    pub(crate) time: &'l str,
    /// Bytes as the program wrote them.
    pub(crate) text: &'l [u8],
}

impl<'l> LogLine<'l> {
    /// Takes what it finds; a line of another form is all text.
    pub(crate) fn parse(line: &'l [u8]) -> Self {
        let all = Self { stream: None, time: "", text: line };
        let Some((word, rest)) = split_word(line) else { return all };
        if is_time(word) {
            return Self { stream: None, time: word, text: rest };
        }
        let name = word.strip_suffix(':').unwrap_or(word);
        if !matches!(name, "stdout" | "stderr" | "crunch-run") {
            return all;
        }
        match split_word(rest) {
            Some((time, text)) if is_time(time) => Self { stream: Some(name), time, text },
            _ => Self { stream: Some(name), time: "", text: rest },
        }
    }
}

fn split_word(line: &[u8]) -> Option<(&str, &[u8])> {
    let (end, rest) = match line.iter().position(|byte| *byte == b' ') {
        Some(end) => (end, line.get(end + 1..).unwrap_or_default()),
        None => (line.len(), &[][..]),
    };
    let word = std::str::from_utf8(line.get(..end)?).ok()?;
    Some((word, rest))
}

/// `2026-11-23T20:58:45.123456789Z`.
fn is_time(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 30
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[19] == b'.'
        && bytes[29] == b'Z'
        && bytes[20..29].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-23T20:58:45.123456789Z";

    #[test]
    fn lines_are_found_wherever_the_pieces_break() {
        let text = b"one\n\nthree\nrest";
        for cut in 0..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            lines.push(&text[..cut], |line| found.push(line.to_vec()));
            lines.push(&text[cut..], |line| found.push(line.to_vec()));
            lines.finish(|line| found.push(line.to_vec()));
            assert_eq!(found, [&b"one"[..], b"", b"three", b"rest"], "cut at {cut}");
        }
    }

    #[test]
    fn stream_time_and_text_are_told_apart() {
        let check = |line: &str, stream: Option<&str>, time: &str, text: &str| {
            let expected = LogLine { stream, time, text: text.as_bytes() };
            assert_eq!(LogLine::parse(line.as_bytes()), expected, "{line}");
        };
        check(&format!("{TIME} hello  you"), None, TIME, "hello  you");
        check(&format!("stdout {TIME} hello"), Some("stdout"), TIME, "hello");
        check(&format!("stderr: {TIME} hello"), Some("stderr"), TIME, "hello");
        check(TIME, None, TIME, "");
        check(&format!("crunch-run {TIME} "), Some("crunch-run"), TIME, "");
        check("no time here", None, "", "no time here");
        check("stdout of another form", Some("stdout"), "", "of another form");
        check("", None, "", "");
    }
}
