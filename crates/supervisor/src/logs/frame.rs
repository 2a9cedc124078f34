//! Bytes in, timestamped lines out, bounded. Pure: the caller brings the time.

use model::Timestamp;

/// Longer lines are split here, so that a reader never needs more memory than this for one.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 10;

/// Cuts a byte stream into lines and prefixes each; keeps count of what it let through.
#[derive(Debug)]
pub(crate) struct Framer {
    /// Bytes of the unfinished line, prefix not counted; `None` at the start of a line.
    line_bytes: Option<usize>,
    written: u64,
    bytes_max: u64,
    is_truncated: bool,
}

impl Framer {
    /// For a file that has `written` bytes already and may have `bytes_max`.
    pub(crate) fn new(written: u64, bytes_max: u64) -> Self {
        Self { line_bytes: None, written, bytes_max, is_truncated: written >= bytes_max }
    }

    /// What to append to the file for these bytes of the app; empty once the file is full.
    ///
    /// A line's time is that of its first byte; an unfinished line is written at once, because a
    /// prompt or a progress dot is worth seeing.
    pub(crate) fn feed(&mut self, bytes: &[u8], at: Timestamp) -> Vec<u8> {
        if self.is_truncated {
            return Vec::new();
        }
        let was_in_line = self.line_bytes.is_some();
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.feed_line(line, at, &mut out);
        }
        self.bound(&mut out, was_in_line, at);
        self.written += out.len() as u64;
        out
    }

    /// What to append when nothing more comes: ends an unfinished line.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        if self.line_bytes.take().is_some() && !self.is_truncated { vec![b'\n'] } else { vec![] }
    }

    /// Whether the file is full.
    pub(crate) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// A line of our own between the app's, ending an unfinished one first.
    pub(crate) fn notice(&mut self, words: &str, at: Timestamp) -> Vec<u8> {
        let line_end = if self.line_bytes.take().is_some() { "\n" } else { "" };
        format!("{line_end}{at} {words}\n").into_bytes()
    }

    /// `line` has at most one newline, at its end.
    fn feed_line(&mut self, line: &[u8], at: Timestamp, out: &mut Vec<u8>) {
        let (mut text, has_end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line, false),
        };
        loop {
            let used = self.line_bytes.unwrap_or_else(|| {
                out.extend_from_slice(format!("{at} ").as_bytes());
                0
            });
            let (now, rest) = text.split_at(text.len().min(LINE_BYTES_MAX - used));
            out.extend_from_slice(now);
            text = rest;
            if text.is_empty() {
                self.line_bytes = Some(used + now.len());
                break;
            }
            out.push(b'\n');
            self.line_bytes = None;
        }
        if has_end {
            out.push(b'\n');
            self.line_bytes = None;
        }
    }

    /// Cuts `out` to the whole lines that the file may still take, and says so in the file.
    /// `was_in_line` tells that `out` begins within a line.
    fn bound(&mut self, out: &mut Vec<u8>, was_in_line: bool, at: Timestamp) {
        let room = usize::try_from(self.bytes_max.saturating_sub(self.written));
        let room = room.unwrap_or(usize::MAX);
        if out.len() <= room {
            return;
        }
        let line_end = out[..room].iter().rposition(|byte| *byte == b'\n');
        out.truncate(line_end.map_or(0, |end| end + 1));
        self.is_truncated = true;
        self.line_bytes = (was_in_line && line_end.is_none()).then_some(0);
        let words = format!(
            "… log truncated: {} bytes are kept of each log (Containers.LogBytesMax)",
            self.bytes_max
        );
        let notice = self.notice(&words, at);
        out.extend_from_slice(&notice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u8) -> Timestamp {
        format!("2026-11-23T20:58:{second:02}Z").parse().unwrap()
    }

    fn prefix(second: u8) -> String {
        format!("2026-11-23T20:58:{second:02}.000000000Z ")
    }

    fn check(chunks: &[&str], bytes_max: u64, expected: &str) {
        let mut framer = Framer::new(0, bytes_max);
        let mut out = Vec::new();
        for (second, chunk) in (1..).zip(chunks) {
            out.extend(framer.feed(chunk.as_bytes(), at(second)));
        }
        out.extend(framer.finish());
        let expected = expected.replace("<1>", &prefix(1)).replace("<2>", &prefix(2));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn each_line_has_the_time_of_its_first_byte() {
        check(&["a\nb\n", "c\n"], 1000, "<1>a\n<1>b\n<2>c\n");
        check(&["a", "b\nc"], 1000, "<1>ab\n<2>c\n");
        check(&["\n\n"], 1000, "<1>\n<1>\n");
        check(&[], 1000, "");
    }

    #[test]
    fn a_very_long_line_is_split_and_nothing_of_it_lost() {
        let mut framer = Framer::new(0, 1 << 30);
        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 5];
        let mut out = Vec::new();
        for chunk in long.chunks(1000) {
            out.extend(framer.feed(chunk, at(1)));
        }
        out.extend(framer.feed(b"\n", at(2)));
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| &line[prefix(1).len()..]).collect();
        let lengths: Vec<usize> = lines.iter().map(|line| line.len()).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 5]);
    }

    #[test]
    fn a_full_file_ends_with_a_whole_line_says_so_once_and_takes_no_more() {
        let notice = "… log truncated: 60 bytes are kept of each log (Containers.LogBytesMax)";
        let chunk = "0123456789\nabcdefghij\nmore";
        check(&[chunk, "and more\n"], 60, &format!("<1>0123456789\n<1>{notice}\n"));
        check(
            &["0123456789", chunk],
            60,
            &format!("<1>0123456789\n<2>{notice}\n").replace("89\n<2>", "890123456789\n<2>"),
        );
        check(
            &["0123456789", "0123456789abcdef"],
            50,
            &format!("<1>0123456789\n<2>{notice}\n").replace("60", "50"),
        );
    }

    #[test]
    fn a_file_found_full_stays_as_it_is() {
        let mut framer = Framer::new(50, 50);
        assert!(framer.is_truncated() && framer.feed(b"x\n", at(1)).is_empty());
    }
}
