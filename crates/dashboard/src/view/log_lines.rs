//! The last log lines, taken apart for the page.

/// One line of a container's log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// `stdout`, `stderr` or `crunch-run`; empty where the line does not say.
    pub(crate) stream: String,
    /// `2026-11-23T20:58:45.123456789Z`; empty where the line does not say.
    pub(crate) time: String,
    pub(crate) text: String,
}

impl LogLine {
    /// `20:58:45`, UTC.
    pub(crate) fn clock(&self) -> &str {
        self.time.get(11..19).unwrap_or_default()
    }
}

/// The longest piece of a line that is shown; a page is no place for a megabyte in one line.
const LINE_CHARS_MAX: usize = 2000;

/// The last `count` lines of `text`, each `[stream ]<RFC 3339>Z text`; other lines stay as they are.
pub(crate) fn last_lines(text: &str, count: usize) -> Vec<LogLine> {
    let mut lines: Vec<&str> = text.lines().rev().take(count).collect();
    lines.reverse();
    lines.into_iter().map(parse).collect()
}

fn parse(line: &str) -> LogLine {
    let (stream, rest) = match line.split_once(' ') {
        Some((word, rest)) => match word.trim_end_matches(':') {
            stream @ ("stdout" | "stderr" | "crunch-run") => (stream, rest),
            _ => ("", line),
        },
        None => ("", line),
    };
    let (time, text) = match rest.split_once(' ') {
        Some((time, text)) if is_time(time) => (time, text),
        None if is_time(rest) => (rest, ""),
        _ => ("", rest),
    };
    LogLine {
        stream: stream.to_owned(),
        time: time.to_owned(),
        text: plain(text).chars().take(LINE_CHARS_MAX).collect(),
    }
}

fn is_time(word: &str) -> bool {
    word.is_ascii()
        && word.len() >= 20
        && word.ends_with('Z')
        && word.as_bytes()[10] == b'T'
        && word.parse::<jiff::Timestamp>().is_ok()
}

/// Takes terminal colours and other control characters out: they mean nothing on a page, and some
/// reorder the text a person reads.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                // A control sequence ends with a byte of 0x40-0x7e (ECMA-48), after the bracket.
                chars.next();
                while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
            }
            '\t' => out.push(c),
            c if c.is_control() => {}
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, stream: &str, clock: &str, text: &str) {
        let parsed = parse(line);
        assert_eq!((&*parsed.stream, parsed.clock(), &*parsed.text), (stream, clock, text));
    }

    #[test]
    fn lines_are_taken_apart_and_odd_ones_kept_whole() {
        check("stdout 2026-11-23T20:58:45.123456789Z hi there", "stdout", "20:58:45", "hi there");
        check("stderr: 2026-11-23T20:58:45.123456789Z x", "stderr", "20:58:45", "x");
        check("2026-11-23T20:58:45.123456789Z", "", "20:58:45", "");
        check("no time at all", "", "", "no time at all");
        check("€uro sign in the first word", "", "", "€uro sign in the first word");
        check("", "", "", "");
    }

    #[test]
    fn colours_and_text_direction_tricks_are_taken_out() {
        check("\u{1b}[31mred\u{1b}[0m\u{7}", "", "", "red");
        check("abc\u{202e}def", "", "", "abc\u{fffd}def");
        check("\u{1b}[", "", "", "");
    }

    #[test]
    fn the_last_lines_come_in_order() {
        let lines = last_lines("a\nb\nc\n", 2);
        assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }
}
