//! What the file says, and how it is read: key by key, collecting every problem with its path.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::Config;
use crate::setting::Setting;

/// A config file's content: a YAML mapping, not yet checked against what the program knows.
#[derive(Clone, Debug, PartialEq)]
pub struct RawConfig {
    /// For messages; `None` for text that came from elsewhere.
    path: Option<PathBuf>,
    tree: Map<String, Value>,
}

/// One thing wrong with a config, at one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the top, joined by dots: `Containers.StopGrace`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Why there is no usable config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config file {}", path.display())]
    Unreadable {
        /// As asked for.
        path: PathBuf,
        /// From the system.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML mapping.
    #[error("{place} is no valid YAML: {text}")]
    NotYaml {
        /// The file's name or "the config".
        place: String,
        /// The parser's words, with line and column.
        text: String,
    },
    /// It was read, and these keys are wrong.
    #[error("{place} has {}", list(problems))]
    Problems {
        /// The file's name or "the config".
        place: String,
        /// All of them, in the order of the file's sections.
        problems: Vec<Problem>,
    },
}

fn list(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "a problem".to_owned(),
        n => format!("{n} problems"),
    };
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    text
}

impl RawConfig {
    /// Parses YAML. Duplicate keys are refused; an empty text is an empty config.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::parse_named(text, None)
    }

    /// Reads and parses a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse_named(&text, Some(path.to_owned()))
    }

    fn parse_named(text: &str, path: Option<PathBuf>) -> Result<Self, ConfigError> {
        let value = serde_saphyr::from_str::<Option<Value>>(text).map_err(|error| {
            ConfigError::NotYaml { place: place(path.as_deref()), text: error.to_string() }
        })?;
        match value {
            None | Some(Value::Null) => Ok(Self { path, tree: Map::new() }),
            Some(Value::Object(tree)) => Ok(Self { path, tree }),
            Some(_) => Err(ConfigError::NotYaml {
                place: place(path.as_deref()),
                text: "expected keys and values at the top, such as \"Listen: 127.0.0.1:8000\""
                    .to_owned(),
            }),
        }
    }

    /// What the program uses: `base` with everything the file says put over it.
    ///
    /// Errs with every problem at once; nothing of a wrong file is used.
    pub fn resolve(self, base: Config) -> Result<Config, ConfigError> {
        let place = place(self.path.as_deref());
        let mut problems = Vec::new();
        let config = base.overlay(Section::top(self.tree), &mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Problems { place, problems })
        }
    }
}

fn place(path: Option<&Path>) -> String {
    path.map_or_else(|| "the config".to_owned(), |path| path.display().to_string())
}

/// One mapping being read: every key is taken once; what is left over at the end is unknown.
#[derive(Debug)]
pub struct Section {
    /// Empty at the top, else with a trailing dot: `Containers.`.
    prefix: String,
    values: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Section {
    fn top(values: Map<String, Value>) -> Self {
        Self { prefix: String::new(), values, known: Vec::new() }
    }

    /// The full path of `key`, for problems.
    pub fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Takes a value, if it is there and right; a wrong one is reported and left out.
    pub fn take<T: Setting>(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.values.shift_remove(key)?;
        if value.is_null() {
            return None;
        }
        T::from_value(&value)
            .map_err(|text| problems.push(Problem { path: self.path(key), text }))
            .ok()
    }

    /// Takes a mapping below this one; an absent one is empty.
    pub fn section(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Self {
        self.known.push(key);
        self.section_named(key, problems)
    }

    /// The keys that are left, in the file's order: for mappings whose keys are names.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }

    /// Whether a key is there, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Takes the mapping of a name.
    pub(crate) fn section_named(&mut self, name: &str, problems: &mut Vec<Problem>) -> Self {
        let values = match self.values.shift_remove(name) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(values)) => values,
            Some(_) => {
                let text = "must be a mapping of keys and values".to_owned();
                problems.push(Problem { path: self.path(name), text });
                Map::new()
            }
        };
        Self { prefix: format!("{}{name}.", self.prefix), values, known: Vec::new() }
    }

    /// Reports that a key must be there.
    pub(crate) fn require(&self, key: &str, what: &str, problems: &mut Vec<Problem>) {
        problems.push(Problem { path: self.path(key), text: format!("is missing: {what}") });
    }

    /// Reports what was never taken, with the nearest known key where there is one.
    pub fn finish(self, problems: &mut Vec<Problem>) {
        for key in self.values.keys() {
            let text = match nearest(key, &self.known) {
                Some(known) => format!("unknown key; did you mean {known}?"),
                None => format!("unknown key; known here are {}", self.known.join(", ")),
            };
            problems.push(Problem { path: self.path(key), text });
        }
    }
}

/// The known key that differs only in case or by at most two edits.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    known
        .iter()
        .map(|known| (edits(&key, &known.to_ascii_lowercase()), *known))
        .filter(|(n_edits, _)| *n_edits <= 2)
        .min_by_key(|(n_edits, _)| *n_edits)
        .map(|(_, known)| known)
}

/// Levenshtein distance over bytes; keys are short and ASCII.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
