//! Parameter references without JavaScript: `inputs.file.size`, `self[0]["a b"]`, `runtime.cores`.

use super::Scope;
use crate::value::Value;

/// One step from a value to a part of it.
enum Step<'t> {
    Key(std::borrow::Cow<'t, str>),
    Index(usize),
}

/// The value that `text` refers to; `None` if it is no reference but an expression.
pub(super) fn resolve(text: &str, scope: &Scope<'_>) -> Option<Result<Value, String>> {
    let text = text.trim();
    let (root, steps) = parse(text)?;
    let start = match root {
        "inputs" => scope.inputs,
        "self" => scope.this,
        "runtime" => scope.runtime,
        "null" if steps.is_empty() => return Some(Ok(Value::Null)),
        "null" => return Some(Err("null has no parts".to_owned())),
        other => return Some(Err(format!("{other:?} is not inputs, self or runtime"))),
    };
    Some(follow(start, &steps))
}

fn follow(start: &Value, steps: &[Step<'_>]) -> Result<Value, String> {
    let mut value = start;
    for (n, step) in steps.iter().enumerate() {
        let next = match (value, step) {
            (Value::Object(entries), Step::Key(key)) => entries.get(key.as_ref()),
            (Value::Array(items), Step::Index(index)) => items.get(*index),
            (Value::Array(items), Step::Key(key)) if key == "length" && n + 1 == steps.len() => {
                return Ok(Value::from(items.len() as u64));
            }
            _ => None,
        };
        value = next.ok_or_else(|| match step {
            Step::Key(key) => format!("there is no {key:?} in this {}", value.kind()),
            Step::Index(index) => format!("there is no item {index} in this {}", value.kind()),
        })?;
    }
    Ok(value.clone())
}

/// The grammar of references: a symbol, then `.symbol`, `['text']`, `["text"]` or `[number]`.
fn parse(text: &str) -> Option<(&str, Vec<Step<'_>>)> {
    let (root, mut rest) = symbol(text)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('.') {
            let (name, next) = symbol(behind)?;
            steps.push(Step::Key(name.into()));
            rest = next;
        } else {
            let behind = rest.strip_prefix('[')?;
            let (step, next) = bracket(behind)?;
            steps.push(step);
            rest = next.strip_prefix(']')?;
        }
    }
    Some((root, steps))
}

fn symbol(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (length > 0 && !text.starts_with(|c: char| c.is_ascii_digit())).then(|| text.split_at(length))
}

fn bracket(text: &str) -> Option<(Step<'_>, &str)> {
    let quote = text.chars().next()?;
    if quote != '\'' && quote != '"' {
        let length = text.find(|c: char| !c.is_ascii_digit())?;
        let index = text[..length].parse().ok()?;
        return Some((Step::Index(index), &text[length..]));
    }
    let mut key = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.push(chars.next()?.1),
            c if c == quote => return Some((Step::Key(key.into()), &text[at + 1..])),
            c => key.push(c),
        }
    }
    None
}
