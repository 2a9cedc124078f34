//! From JSON and text to [`super::ListQuery`] parts.

use serde_json::Value;

use super::{
    Attribute, AttributeKind, Comparison, Condition, FILTER_BY_EXISTENCE, FILTER_PATTERN_BYTES_MAX,
    FILTER_VALUES_MAX, FILTERS_MAX, Filter, ORDER_TERMS_MAX, OrderTerm, Scalar, Schema, Target,
    Test, expression, type_code_of_kind,
};
use crate::FieldError;

/// Parses the `filters` parameter: a list of `[attribute, operator, operand]`.
///
/// # Errors
/// Names the filter by its place (`filters[2]`) and says what to write instead.
pub fn parse_filters(schema: &'static Schema, filters: &Value) -> Result<Vec<Filter>, FieldError> {
    list_of_filters(filters)?
        .iter()
        .enumerate()
        .map(|(index, filter)| {
            parse_filter(schema, filter)
                .map_err(|problem| error(format!("filters[{index}]"), problem))
        })
        .collect()
}

/// The members of the `filters` parameter.
pub(super) fn list_of_filters(filters: &Value) -> Result<&[Value], FieldError> {
    match filters {
        Value::Array(list) if list.len() <= FILTERS_MAX => Ok(list),
        Value::Array(_) => Err(error("filters", format!("holds more than {FILTERS_MAX} filters"))),
        _ => Err(error("filters", "must be a list of [attribute, operator, operand]")),
    }
}

pub(super) fn error(field: impl Into<String>, problem: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), problem: problem.into() }
}

pub(super) fn parse_filter(schema: &'static Schema, filter: &Value) -> Result<Filter, String> {
    if let Some(text) = expression::text_of(filter) {
        return expression::parse(schema, text);
    }
    let parts = filter.as_array().map(Vec::as_slice);
    let Some([attribute, operator, operand]) = parts else {
        return Err(format!("must be [attribute, operator, operand], is {filter}"));
    };
    let Value::String(operator) = operator else {
        return Err(format!("has the operator {operator}, which must be text"));
    };
    let operator = operator.to_ascii_lowercase();
    let any_of = targets(schema, attribute, &operator)?
        .into_iter()
        .map(|target| condition(target, &operator, operand))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Filter { any_of })
}

/// The targets an attribute operand names: one name, `any`, or a list of names.
fn targets(
    schema: &'static Schema,
    attribute: &Value,
    operator: &str,
) -> Result<Vec<Target>, String> {
    match attribute {
        Value::String(name) if name == "any" => {
            if !matches!(operator, "=" | "!=" | "<>" | "like" | "ilike" | "in" | "not in") {
                return Err(format!("has the operator {operator:?}, which \"any\" does not take"));
            }
            // Patterns are also looked for in lists and objects, as text (Arvados).
            let in_json = matches!(operator, "like" | "ilike");
            Ok(schema
                .attributes
                .iter()
                .filter(|a| match a.kind {
                    AttributeKind::Text => true,
                    AttributeKind::Json => in_json && !FILTER_BY_EXISTENCE.contains(&a.name),
                    _ => false,
                })
                .map(|&attribute| Target { join: None, attribute, key: None })
                .collect())
        }
        Value::String(name) => Ok(vec![target(schema, name)?]),
        Value::Array(names) if !names.is_empty() && names.len() <= FILTERS_MAX => names
            .iter()
            .map(|name| match name {
                Value::String(name) => target(schema, name),
                other => Err(format!("names the attribute {other}, which must be text")),
            })
            .collect(),
        other => Err(format!("names the attribute {other}, which must be text or a list of text")),
    }
}

fn target(schema: &'static Schema, name: &str) -> Result<Target, String> {
    if let Some(attribute) = schema.attribute(name) {
        return Ok(Target { join: None, attribute, key: None });
    }
    let unknown = || format!("names the attribute {name:?}, which {} do not have", schema.table);
    let (prefix, rest) = name.split_once('.').ok_or_else(unknown)?;
    if prefix == schema.table {
        return target(schema, rest);
    }
    if let Some(join) = schema.join(prefix) {
        let attribute = join.schema.attribute(rest).ok_or_else(unknown)?;
        return Ok(Target { join: Some(join.prefix), attribute, key: None });
    }
    let attribute =
        schema.attribute(prefix).filter(|a| a.kind == AttributeKind::Json).ok_or_else(unknown)?;
    // Keys that are URIs come in angle brackets, as their own dots would mislead.
    let key = rest.strip_prefix('<').and_then(|k| k.strip_suffix('>')).unwrap_or(rest);
    if key.is_empty() || key.contains('"') || key.contains('\0') {
        return Err(format!("names the property {key:?}, which is empty or has quotes in it"));
    }
    Ok(Target { join: None, attribute, key: Some(key.to_owned()) })
}

fn condition(target: Target, operator: &str, operand: &Value) -> Result<Condition, String> {
    let name = target.attribute.name;
    if FILTER_BY_EXISTENCE.contains(&name) && operator != "exists" {
        return Err(format!("asks for what is in {name}; ask whether a key of it exists"));
    }
    let test = match operator {
        "=" => Test::Compare(Comparison::Equal, scalar(&target, operand)?),
        "!=" | "<>" => Test::Compare(Comparison::NotEqual, scalar(&target, operand)?),
        "<" => Test::Compare(Comparison::Less, ordered(&target, operand)?),
        "<=" => Test::Compare(Comparison::LessOrEqual, ordered(&target, operand)?),
        ">" => Test::Compare(Comparison::Greater, ordered(&target, operand)?),
        ">=" => Test::Compare(Comparison::GreaterOrEqual, ordered(&target, operand)?),
        "in" => Test::In { values: scalars(&target, operand)?, negated: false },
        "not in" => Test::In { values: scalars(&target, operand)?, negated: true },
        "like" => Test::Like { pattern: pattern(&target, operand)?, case_sensitive: true },
        "ilike" => Test::Like { pattern: pattern(&target, operand)?, case_sensitive: false },
        "exists" => return exists(target, operand),
        "contains" => Test::Contains(contained(&target, operand)?),
        "is_a" => Test::IsA(type_codes(&target, operand)?),
        other => {
            return Err(format!(
                "has the operator {other:?}; known are =, !=, <>, <, <=, >, >=, in, not in, \
                 like, ilike, exists, contains, is_a"
            ));
        }
    };
    Ok(Condition { target, test })
}

/// Reads an operand as the target's kind; clients send numbers as text and times in three
/// spellings.
fn scalar(target: &Target, operand: &Value) -> Result<Scalar, String> {
    let name = target.attribute.name;
    if operand.is_null() {
        return Ok(Scalar::Null);
    }
    if target.key.is_some() {
        return property_scalar(operand);
    }
    let wrong = |wanted: &str| format!("compares {name} with {operand}, which is not {wanted}");
    match target.attribute.kind {
        AttributeKind::Text => match operand {
            Value::String(text) => Ok(Scalar::Text(text.clone())),
            Value::Number(number) => Ok(Scalar::Text(number.to_string())),
            _ => Err(wrong("text")),
        },
        AttributeKind::Integer => {
            integer(operand).map(Scalar::Integer).ok_or_else(|| wrong("an integer"))
        }
        AttributeKind::Float => match operand {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok().filter(|f: &f64| f.is_finite()),
            _ => None,
        }
        .map(Scalar::Float)
        .ok_or_else(|| wrong("a number")),
        AttributeKind::Boolean => match operand {
            Value::Bool(flag) => Ok(Scalar::Boolean(*flag)),
            Value::String(text) if matches!(text.as_str(), "true" | "t" | "1") => {
                Ok(Scalar::Boolean(true))
            }
            Value::String(text) if matches!(text.as_str(), "false" | "f" | "0") => {
                Ok(Scalar::Boolean(false))
            }
            Value::Number(number) if number.as_i64() == Some(1) => Ok(Scalar::Boolean(true)),
            Value::Number(number) if number.as_i64() == Some(0) => Ok(Scalar::Boolean(false)),
            _ => Err(wrong("true or false")),
        },
        AttributeKind::Time => operand
            .as_str()
            .and_then(parse_time)
            .map(Scalar::Text)
            .ok_or_else(|| wrong("a time such as \"2026-01-31T12:00:00Z\"")),
        AttributeKind::Json => Err(format!(
            "compares {name} as a whole; compare one key, as in \"{name}.key\", or use contains or exists"
        )),
    }
}

fn property_scalar(operand: &Value) -> Result<Scalar, String> {
    match operand {
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        Value::Bool(flag) => Ok(Scalar::Boolean(*flag)),
        Value::Number(number) => number
            .as_i64()
            .map(Scalar::Integer)
            .or_else(|| number.as_f64().map(Scalar::Float))
            .ok_or_else(|| format!("compares with {number}, which is out of range")),
        _ => Err("compares a property with an object or list; use contains".to_owned()),
    }
}

/// An integer as a number or as decimal text.
fn integer(operand: &Value) -> Option<i64> {
    match operand {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn ordered(target: &Target, operand: &Value) -> Result<Scalar, String> {
    match scalar(target, operand)? {
        Scalar::Null => Err("compares with null; use = or != for that".to_owned()),
        Scalar::Boolean(_) => Err("orders true and false; use = or != for that".to_owned()),
        other => Ok(other),
    }
}

fn scalars(target: &Target, operand: &Value) -> Result<Vec<Scalar>, String> {
    let Value::Array(list) = operand else {
        return Err(format!("has the operand {operand}, which must be a list"));
    };
    if list.len() > FILTER_VALUES_MAX {
        return Err(format!("lists more than {FILTER_VALUES_MAX} values"));
    }
    list.iter().map(|value| scalar(target, value)).collect()
}

fn pattern(target: &Target, operand: &Value) -> Result<String, String> {
    let has_text = matches!(target.attribute.kind, AttributeKind::Text | AttributeKind::Json);
    if !has_text {
        return Err(format!("matches {} with a pattern, but it is no text", target.attribute.name));
    }
    match operand {
        Value::String(text) if text.len() <= FILTER_PATTERN_BYTES_MAX => Ok(text.clone()),
        Value::String(_) => {
            Err(format!("has a pattern of more than {FILTER_PATTERN_BYTES_MAX} bytes"))
        }
        other => Err(format!("has the pattern {other}, which must be text")),
    }
}

/// Both spellings: `["properties.k", "exists", true]` and `["properties", "exists", "k"]`.
fn exists(mut target: Target, operand: &Value) -> Result<Condition, String> {
    let wanted = match (&target.key, operand) {
        (Some(_), Value::Bool(flag)) => *flag,
        (None, Value::String(key))
            if target.attribute.kind == AttributeKind::Json
                && !key.is_empty()
                && !key.contains('"') =>
        {
            target.key = Some(key.clone());
            true
        }
        _ => {
            return Err(format!(
                "asks {} exists {operand}; write [\"properties.key\", \"exists\", true]",
                target.attribute.name
            ));
        }
    };
    Ok(Condition { target, test: Test::Exists(wanted) })
}

fn contained(target: &Target, operand: &Value) -> Result<Vec<Scalar>, String> {
    if target.attribute.kind != AttributeKind::Json {
        return Err(format!(
            "asks whether {} contains something; it is no list",
            target.attribute.name
        ));
    }
    let wrong = |value: &Value| {
        format!("has the operand {value}, which must be text, a number, or a list of them")
    };
    let one = |value: &Value| match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => property_scalar(value),
        _ => Err(wrong(value)),
    };
    match operand {
        Value::Array(list) if list.len() <= FILTERS_MAX => list.iter().map(one).collect(),
        value => one(value).map(|scalar| vec![scalar]),
    }
}

pub(super) fn type_codes(target: &Target, operand: &Value) -> Result<Vec<String>, String> {
    if target.attribute.kind != AttributeKind::Text {
        return Err(format!("asks is_a of {}, which is no identifier", target.attribute.name));
    }
    let list = match operand {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(list) if list.len() <= FILTERS_MAX => list
            .iter()
            .map(Value::as_str)
            .collect::<Option<Vec<_>>>()
            .ok_or("lists something that is no text")?,
        other => {
            return Err(format!("has the operand {other}, which must be text or a list of text"));
        }
    };
    list.into_iter()
        .map(|kind| {
            type_code_of_kind(kind).map(str::to_owned).ok_or_else(|| {
                format!(
                    "asks for the kind {kind:?}; a kind is such as \"arvados#containerRequest\""
                )
            })
        })
        .collect()
}

/// A time in stored form (UTC, nine fraction digits, `Z`) from what clients send: any fraction
/// length, any offset, or no zone at all, which means UTC.
pub fn parse_time(text: &str) -> Option<String> {
    text.trim().parse::<crate::Timestamp>().ok().map(|stamp| stamp.to_string())
}

/// Parses `order`: text or a list of text, each term `attribute [asc|desc]`, comma-separated
/// lists allowed; completed so that pages never overlap: behind a time with the identifier in the same direction,
/// else with `modified_at desc, uuid desc`.
///
/// # Errors
/// Names the term and the attribute that does not exist.
pub fn parse_order(schema: &Schema, order: &Value) -> Result<Vec<OrderTerm>, FieldError> {
    order_of_terms(schema, order_texts(order)?)
}

/// The terms of an order as text.
pub(super) fn order_texts(order: &Value) -> Result<Vec<&str>, FieldError> {
    let texts: Vec<&str> = match order {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text],
        Value::Array(list) => {
            list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(|| {
                error("order", "must be a list of text such as \"created_at desc\"")
            })?
        }
        _ => {
            return Err(error(
                "order",
                "must be text such as \"created_at desc\", or a list of it",
            ));
        }
    };
    let terms = texts.iter().flat_map(|text| text.split(','));
    Ok(terms.map(str::trim).filter(|term| !term.is_empty()).collect())
}

pub(super) fn order_of_terms<'t>(
    schema: &Schema,
    texts: impl IntoIterator<Item = &'t str>,
) -> Result<Vec<OrderTerm>, FieldError> {
    let mut terms: Vec<OrderTerm> = Vec::new();
    for text in texts {
        let term = order_term(schema, text).map_err(|problem| error("order", problem))?;
        if terms.iter().all(|t| t.attribute != term.attribute) {
            terms.push(term);
        }
        if terms.len() > ORDER_TERMS_MAX {
            return Err(error("order", format!("has more than {ORDER_TERMS_MAX} terms")));
        }
    }
    Ok(complete_order(schema, terms))
}

fn order_term(schema: &Schema, text: &str) -> Result<OrderTerm, String> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let descending = match words.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => {
            return Err(format!("has the direction {other:?}, which must be asc or desc"));
        }
    };
    if words.next().is_some() {
        return Err(format!(
            "has the term {:?}, which must be \"attribute asc\" or \"attribute desc\"",
            text.trim()
        ));
    }
    let own =
        name.strip_prefix(schema.table).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
    let attribute = schema
        .attribute(own)
        .filter(|a| a.kind != AttributeKind::Json)
        .ok_or_else(|| format!("names {name:?}, by which {} cannot be ordered", schema.table))?;
    Ok(OrderTerm { attribute, descending })
}

/// Adds what makes the order total. Behind a time that is the identifier in the time's own direction, so that an
/// index on both can be read as it is; behind anything else the default order.
pub(super) fn complete_order(schema: &Schema, mut terms: Vec<OrderTerm>) -> Vec<OrderTerm> {
    let has = |terms: &[OrderTerm], name: &str| terms.iter().any(|t| t.attribute.name == name);
    let is_time = |term: &OrderTerm| matches!(term.attribute.name, "created_at" | "modified_at");
    // Behind a unique attribute nothing can matter any more.
    if has(&terms, "uuid") {
        return terms;
    }
    if !terms.last().is_some_and(is_time) && !has(&terms, "modified_at") {
        terms.extend(
            schema
                .attribute("modified_at")
                .map(|attribute| OrderTerm { attribute, descending: true }),
        );
    }
    let descending = terms.last().filter(|term| is_time(term)).is_none_or(|term| term.descending);
    terms.extend(schema.attribute("uuid").map(|attribute| OrderTerm { attribute, descending }));
    terms
}

/// Parses `select`: a list of attribute names. `kind` and `etag` are always answered and may be
/// named, so they are accepted and left out here.
///
/// # Errors
/// An attribute that the record type does not have.
pub fn parse_select(
    schema: &Schema,
    select: &Value,
) -> Result<Option<Vec<&'static str>>, FieldError> {
    let list = match select {
        Value::Null => return Ok(None),
        Value::Array(list) => list,
        _ => return Err(error("select", "must be a list of attribute names")),
    };
    let mut names: Vec<&'static str> = Vec::with_capacity(list.len().min(64));
    for name in list {
        let Value::String(name) = name else {
            return Err(error("select", format!("holds {name}, which must be text")));
        };
        if matches!(name.as_str(), "kind" | "etag") {
            continue;
        }
        let Some(Attribute { name, .. }) = schema.attribute(name) else {
            return Err(error(
                "select",
                format!("names {name:?}, which {} do not have", schema.table),
            ));
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(Some(names))
}
