//! Filters that compare two numbers of the same record: `"(container_count < container_count_max)"`.

use serde_json::Value;

use super::{AttributeKind, Comparison, Condition, Filter, Schema, Target, Test};

/// Longest first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Comparison); 5] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];

/// The whole filter, where it is an expression: text alone, or `[expression, "=", true]`.
pub(super) fn text_of(filter: &Value) -> Option<&Value> {
    let names_expression =
        |value: &Value| value.as_str().is_some_and(|text| text.trim_start().starts_with('('));
    let first = filter.as_array().and_then(|parts| parts.first());
    let is_one = names_expression(filter) || first.is_some_and(names_expression);
    is_one.then_some(filter)
}

pub(super) fn parse(schema: &'static Schema, filter: &Value) -> Result<Filter, String> {
    let text = match filter {
        Value::String(text) => text.as_str(),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(text), Value::String(equal), Value::Bool(true)] if equal == "=" => text,
            _ => return Err(format!("must be [expression, \"=\", true], is {filter}")),
        },
        _ => return Err(format!("must be an expression, is {filter}")),
    };
    let comparison = inside(text).and_then(|inside| {
        OPERATORS.iter().find_map(|(word, comparison)| {
            let (left, right) = inside.split_once(word)?;
            Some((left.trim_matches(' '), *comparison, right.trim_matches(' ')))
        })
    });
    let Some((left, comparison, right)) = comparison else {
        return Err(format!(
            "must be one comparison of two numeric attributes, as \"(a < b)\", is {text:?}"
        ));
    };
    let numeric = |name: &str| {
        let attribute = schema.attribute(name).filter(|attribute| {
            matches!(attribute.kind, AttributeKind::Integer | AttributeKind::Float)
        });
        attribute.ok_or_else(|| {
            format!("names {name:?}, which is no numeric attribute of {}", schema.table)
        })
    };
    let target = Target { join: None, attribute: numeric(left)?, key: None };
    let test = Test::CompareTo(comparison, numeric(right)?);
    Ok(Filter { any_of: vec![Condition { target, test }] })
}

/// What is between the parentheses. Spaces are the only white space there may be.
fn inside(text: &str) -> Option<&str> {
    let inside = text.trim_matches(' ').strip_prefix('(')?.strip_suffix(')')?;
    (!inside.contains(|c: char| c != ' ' && c.is_whitespace())).then_some(inside)
}

/// The attributes that an expression names, for lists of several record types.
pub(super) fn names(filter: &Value) -> Option<Vec<&str>> {
    let text = match filter {
        Value::String(text) => text,
        Value::Array(parts) => parts.first()?.as_str()?,
        _ => return None,
    };
    let inside = inside(text)?;
    Some(
        inside
            .split(['<', '>', '='])
            .map(|name| name.trim_matches(' '))
            .filter(|name| !name.is_empty())
            .collect(),
    )
}
