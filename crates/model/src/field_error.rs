//! What is wrong with one field, in words that the API, the command line and the pages all show.

use std::fmt;

/// One problem with one field of what a user sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field as the user wrote it, such as `published_ports["80"].access`.
    pub field: String,
    /// What is wrong and what to write instead, a fragment that follows the field.
    pub problem: String,
}

impl FieldError {
    /// A problem with a field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl std::error::Error for FieldError {}
