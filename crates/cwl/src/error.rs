//! What can be wrong with a document, a value or a run, in words that say where and what to do.

use std::fmt;

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path or address of the document.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as near as can be told.
    pub place: Option<Place>,
    /// The rule that it breaks.
    pub rule: String,
    /// What to write instead; empty where nothing better is known.
    pub advice: String,
}

impl Problem {
    /// Of no place.
    pub fn new(rule: impl Into<String>) -> Self {
        Self { place: None, rule: rule.into(), advice: String::new() }
    }

    /// With what to write instead.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.rule)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// Why something cannot be loaded or run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CwlError {
    /// The document breaks rules: each of them.
    Invalid(Vec<Problem>),
    /// It is right, but asks for what is not there: exit code 33.
    Unsupported(Problem),
    /// A value is missing, has the wrong type, or an expression or a step failed.
    Failed(String),
}

impl CwlError {
    /// A document that breaks one rule.
    pub fn invalid(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }

    /// Puts where it happened in front.
    #[must_use]
    pub fn within(self, what: impl fmt::Display) -> Self {
        match self {
            Self::Failed(text) => Self::Failed(format!("{what}: {text}")),
            other => other,
        }
    }
}

impl fmt::Display for CwlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problems) => {
                for (n, problem) in problems.iter().enumerate() {
                    let line_end = if n > 0 { "\n" } else { "" };
                    write!(f, "{line_end}{problem}")?;
                }
                Ok(())
            }
            Self::Unsupported(problem) => write!(f, "unsupported: {problem}"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CwlError {}

/// Ends with [`CwlError::Failed`] of a formatted text.
macro_rules! fail {
    ($($words:tt)*) => { return Err($crate::error::CwlError::Failed(format!($($words)*))) };
}
pub(crate) use fail;

/// The short form of results here.
pub type Result<T> = std::result::Result<T, CwlError>;

/// The known name that is nearest to a mistyped one, if one is near.
pub(crate) fn nearest<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let lower = wrong.to_lowercase();
    let scored = known.into_iter().map(|name| (distance(&lower, &name.to_lowercase()), name));
    // Of equally near ones the first, as lists begin with what is usual.
    let (far, name) = scored.min_by_key(|(far, _)| *far)?;
    (far <= 1 + wrong.chars().count() / 4).then_some(name)
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_find_their_neighbours() {
        let known = ["baseCommand", "arguments", "stdout"];
        assert_eq!(nearest("basecomand", known), Some("baseCommand"));
        assert_eq!(nearest("argument", known), Some("arguments"));
        assert_eq!(nearest("xyz", known), None);
    }
}
