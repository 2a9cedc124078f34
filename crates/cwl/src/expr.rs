//! Expressions and parameter references in text: `$(inputs.x)`, `${ return 1; }`.
//!
//! [`evaluate`] takes a field's text. A field that is one expression keeps its result's type; in other text each
//! result is put in as text. Plain references are resolved here; everything else is JavaScript, which a document
//! must ask for ([`Script`]).

mod js;
mod reference;
mod scan;

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Result, fail};
use crate::json::{Layout, write};
use crate::value::{NULL, Value};
pub use scan::{Piece, scan};

/// What one run's JavaScript may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one evaluation.
    pub time: Duration,
    /// For one evaluation.
    pub memory_bytes: usize,
}

impl Default for Limits {
    /// Twenty seconds are what Arvados gives an expression.
    fn default() -> Self {
        Self { time: Duration::from_secs(20), memory_bytes: 256 << 20 }
    }
}

/// That a document may use JavaScript, and with what.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// `expressionLib`: evaluated first, in order.
    pub library: Vec<String>,
    /// Its bounds.
    pub limits: Limits,
}

/// What an expression sees.
#[derive(Clone, Debug)]
pub struct Scope<'v> {
    /// `inputs`.
    pub inputs: &'v Value,
    /// `self`.
    pub this: &'v Value,
    /// `runtime`; `null` where there is none.
    pub runtime: &'v Value,
    /// JavaScript, where `InlineJavascriptRequirement` allows it.
    pub script: Option<&'v Arc<Script>>,
}

impl<'v> Scope<'v> {
    /// With `inputs` alone.
    pub fn of(inputs: &'v Value, script: Option<&'v Arc<Script>>) -> Self {
        Self { inputs, this: &NULL, runtime: &NULL, script }
    }

    /// With another `self`.
    #[must_use]
    pub fn with_self(&self, this: &'v Value) -> Self {
        Self { this, ..self.clone() }
    }
}

/// Whether white space round a field belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// Not content: taken off before the field is read.
    Trimmed,
    /// Content, as in `Dirent.entry`.
    Kept,
}

/// Whether text has an expression in it.
pub fn is_expression(text: &str) -> bool {
    text.contains("$(") || text.contains("${")
}

/// The value of a field: expressions in text are evaluated, other values stay.
pub fn evaluate_value(value: &Value, scope: &Scope<'_>) -> Result<Value> {
    match value {
        Value::String(text) => evaluate(text, scope),
        other => Ok(other.clone()),
    }
}

/// The value of a field of text.
pub fn evaluate(text: &str, scope: &Scope<'_>) -> Result<Value> {
    evaluate_with(text, scope, Blanks::Trimmed)
}

/// As [`evaluate`], with a say on white space.
pub fn evaluate_with(text: &str, scope: &Scope<'_>, blanks: Blanks) -> Result<Value> {
    if !is_expression(text) {
        return Ok(Value::from(text));
    }
    let trimmed = if blanks == Blanks::Trimmed { text.trim() } else { text };
    let pieces = scan(trimmed)?;
    match pieces.as_slice() {
        [Piece::Parenthesis(_) | Piece::Body(_)] => evaluate_piece(&pieces[0], scope),
        _ => {
            let mut whole = String::new();
            for piece in &pieces {
                match evaluate_piece(piece, scope)? {
                    Value::String(text) => whole.push_str(&text),
                    value => whole.push_str(&write(&value, Layout::Sorted)),
                }
            }
            Ok(Value::String(whole))
        }
    }
}

fn evaluate_piece(piece: &Piece<'_>, scope: &Scope<'_>) -> Result<Value> {
    match piece {
        Piece::Text(text) => Ok(Value::from(text.as_ref())),
        Piece::Parenthesis(inner) => match reference::resolve(inner, scope) {
            Some(Ok(value)) => Ok(value),
            Some(Err(problem)) if scope.script.is_none() => fail!("$({inner}): {problem}"),
            _ => run(&format!("({inner}\n)"), &format!("$({inner})"), scope),
        },
        Piece::Body(body) => {
            run(&format!("(function(){{{body}\n}})()"), &format!("${{{body}}}"), scope)
        }
    }
}

fn run(code: &str, shown: &str, scope: &Scope<'_>) -> Result<Value> {
    let Some(script) = scope.script else {
        fail!(
            "{} is JavaScript, and the document does not ask for it; add `InlineJavascriptRequirement: {{}}` \
             to its requirements",
            shorten(shown)
        );
    };
    match js::run(code, scope, script) {
        Ok(value) => Ok(value),
        Err(problem) => fail!("the expression {} failed: {problem}", shorten(shown)),
    }
}

/// One line of at most 200 characters, for messages.
fn shorten(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= 200 { line } else { line.chars().take(199).chain(['…']).collect() }
}

#[cfg(test)]
mod tests;
