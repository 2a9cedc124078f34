//! Counting what the test runners say at their end.

/// Sums over all runners of one `cargo xtask test`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// Takes a line of output; adds what it counts if it is a closing line of nextest, of cargo
    /// test or of node's test runner.
    pub(crate) fn read(&mut self, line: &str) {
        let plain = without_colours(line);
        let line = plain.trim();
        // Nextest shows the output of a failed test indented, closing line included: not again.
        if line.starts_with("Summary [") || plain.starts_with("test result:") {
            self.passed += number_before(line, "passed");
            self.failed += number_before(line, "failed") + number_before(line, "timed out");
        } else if let Some(count) = after_any(line, &["# pass ", "ℹ pass "]) {
            self.passed += count;
        } else if let Some(count) =
            after_any(line, &["# fail ", "ℹ fail ", "# cancelled ", "ℹ cancelled "])
        {
            self.failed += count;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number that stands before a word: "12 passed" gives 12; 0 where there is none.
fn number_before(line: &str, word: &str) -> usize {
    let Some((before, _)) = line.split_once(word) else { return 0 };
    before.split_whitespace().last().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn after_any(line: &str, prefixes: &[&str]) -> Option<usize> {
    prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)?.trim().parse().ok())
}

/// Without the escape sequences that terminals take for colours.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn check(line: &str, passed: usize, failed: usize) {
        let mut tally = Tally::default();
        tally.read(line);
        assert_eq!(tally, Tally { passed, failed }, "{line}");
    }

    #[test]
    fn the_closing_lines_of_three_runners_are_understood() {
        check(
            "     Summary [  26.1s] 43 tests run: 40 passed (2 slow), 3 failed, 1 skipped",
            40,
            3,
        );
        check("     Summary [  26.1s] 43 tests run: 42 passed, 1 timed out, 1 skipped", 42, 1);
        check("\u{1b}[32m     Summary\u{1b}[0m [   0.1s] 2 tests run: 2 passed, 0 skipped", 2, 0);
        check("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured", 5, 0);
        check("test result: FAILED. 5 passed; 2 failed; 0 ignored", 5, 2);
        check("# pass 7", 7, 0);
        check("ℹ fail 1", 0, 1);
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored", 0, 0);
        check("the test passed", 0, 0);
    }
}
