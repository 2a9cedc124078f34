//! Filters, order and select of lists that hold several record types at once (`groups/contents`).
//!
//! One rule for names: `groups.name` is about groups alone, and says nothing about other types (their records stay);
//! `name` is about every type that has it, and records of a type that has not do not match. A name that none has is
//! an error.

use serde_json::Value;

use super::expression;
use super::parse::{error, list_of_filters, order_of_terms, order_texts, parse_filter, type_codes};
use super::{AttributeKind, Filter, OrderTerm, Schema, Target};
use crate::FieldError;

/// One record type of a mixed list.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its attributes.
    pub schema: &'static Schema,
    /// The code inside its identifiers.
    pub type_code: &'static str,
}

/// Tables whose names may come before a dot although no such records are in the list.
const OTHER_TABLES: [&str; 6] =
    ["collections", "container_requests", "containers", "groups", "links", "workflows"];

/// Whom a name is about, as one type sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// This type.
    This,
    /// Another type alone.
    Another,
    /// Not this type, which has no such attribute.
    Unknown,
}

fn about(schema: &Schema, name: &str) -> About {
    if name == "any" || schema.attribute(name).is_some() {
        return About::This;
    }
    let Some((prefix, _)) = name.split_once('.') else { return About::Unknown };
    let is_json = schema.attribute(prefix).is_some_and(|a| a.kind == AttributeKind::Json);
    if prefix == schema.table || schema.join(prefix).is_some() || is_json {
        About::This
    } else if OTHER_TABLES.contains(&prefix) {
        About::Another
    } else {
        About::Unknown
    }
}

/// The filters for each type; none for a type of which no record can match.
///
/// # Errors
/// Names the filter by its place, as [`super::parse_filters`] does; also where no type has an attribute.
pub fn parse_filters(
    kinds: &[Kind],
    filters: &Value,
) -> Result<Vec<Option<Vec<Filter>>>, FieldError> {
    let mut all = vec![Some(Vec::new()); kinds.len()];
    for (index, filter) in list_of_filters(filters)?.iter().enumerate() {
        let at = |problem: String| error(format!("filters[{index}]"), problem);
        let outcomes = kinds
            .iter()
            .map(|kind| filter_for(kind, filter))
            .collect::<Result<Vec<_>, _>>()
            .map_err(at)?;
        if !outcomes.is_empty() && outcomes.iter().all(|o| matches!(o, Outcome::NoSuchAttribute)) {
            let name = filter.get(0).unwrap_or(filter);
            return Err(at(format!("names {name}, which none of these records has")));
        }
        for (own, outcome) in all.iter_mut().zip(outcomes) {
            match outcome {
                Outcome::Filter(filter) => {
                    if let Some(filters) = own {
                        filters.push(filter);
                    }
                }
                Outcome::OfAnother => {}
                Outcome::NoMatch | Outcome::NoSuchAttribute => *own = None,
            }
        }
    }
    Ok(all)
}

/// What one filter means for one type.
enum Outcome {
    Filter(Filter),
    OfAnother,
    NoMatch,
    NoSuchAttribute,
}

fn filter_for(kind: &Kind, filter: &Value) -> Result<Outcome, String> {
    if let Some(codes) = asked_types(filter)?
        && !codes.iter().any(|code| code == kind.type_code)
    {
        return Ok(Outcome::NoMatch);
    }
    if let Some(text) = expression::text_of(filter) {
        let names = expression::names(text).unwrap_or_default();
        return if names.iter().any(|name| about(kind.schema, name) == About::Unknown) {
            Ok(Outcome::NoSuchAttribute)
        } else {
            parse_filter(kind.schema, text).map(Outcome::Filter)
        };
    }
    match filter.get(0) {
        Some(Value::String(name)) => match about(kind.schema, name) {
            About::This => parse_filter(kind.schema, filter).map(Outcome::Filter),
            About::Another => Ok(Outcome::OfAnother),
            About::Unknown => Ok(Outcome::NoSuchAttribute),
        },
        Some(Value::Array(names)) if names.iter().all(Value::is_string) && !names.is_empty() => {
            filter_of_several(kind, names, filter)
        }
        // Wrong for every type; the parser has the words for it.
        _ => parse_filter(kind.schema, filter).map(Outcome::Filter),
    }
}

/// A filter on any of several attributes: those that this type has.
fn filter_of_several(kind: &Kind, names: &[Value], filter: &Value) -> Result<Outcome, String> {
    let told: Vec<About> =
        names.iter().map(|name| about(kind.schema, name.as_str().unwrap_or_default())).collect();
    let own: Vec<Value> = names
        .iter()
        .zip(&told)
        .filter(|(_, about)| **about == About::This)
        .map(|(name, _)| name.clone())
        .collect();
    if own.is_empty() {
        let foreign = told.contains(&About::Another);
        return Ok(if foreign { Outcome::OfAnother } else { Outcome::NoSuchAttribute });
    }
    let mut filter = filter.clone();
    if let Some(first) = filter.get_mut(0) {
        *first = own.into();
    }
    parse_filter(kind.schema, &filter).map(Outcome::Filter)
}

/// The type codes that `["uuid", "is_a", …]` asks for.
fn asked_types(filter: &Value) -> Result<Option<Vec<String>>, String> {
    let parts = filter.as_array().map(Vec::as_slice);
    let Some([Value::String(name), Value::String(operator), operand]) = parts else {
        return Ok(None);
    };
    if name != "uuid" || !operator.eq_ignore_ascii_case("is_a") {
        return Ok(None);
    }
    let attribute = super::Attribute { name: "uuid", kind: AttributeKind::Text };
    type_codes(&Target { join: None, attribute, key: None }, operand).map(Some)
}

/// The order within each type, complete.
///
/// # Errors
/// Names the term; also where no type has the attribute.
pub fn parse_order(kinds: &[Kind], order: &Value) -> Result<Vec<Vec<OrderTerm>>, FieldError> {
    let texts = order_texts(order)?;
    for text in &texts {
        let name = text.split_whitespace().next().unwrap_or_default();
        let unknown = |kind: &Kind| about(kind.schema, name) == About::Unknown;
        if !kinds.is_empty() && kinds.iter().all(unknown) {
            return Err(error("order", format!("names {name:?}, which none of these records has")));
        }
    }
    let own_of = |kind: &Kind| -> Vec<&str> {
        let is_own = |text: &&str| {
            let name = text.split_whitespace().next().unwrap_or_default();
            about(kind.schema, name) == About::This
        };
        texts.iter().copied().filter(is_own).collect()
    };
    let named = kinds.iter().find(|kind| !own_of(kind).is_empty());
    kinds
        .iter()
        .map(|kind| {
            let mut own = own_of(kind);
            // A page names the types that it shows: others mix with them as if it had named those too.
            if own.is_empty()
                && let Some(named) = named
            {
                let prefix = format!("{}.", named.schema.table);
                let stripped = own_of(named)
                    .into_iter()
                    .map(|text| text.strip_prefix(&prefix).unwrap_or(text));
                own = stripped
                    .filter(|text| {
                        let name = text.split_whitespace().next().unwrap_or_default();
                        kind.schema.attribute(name).is_some()
                    })
                    .collect();
            }
            order_of_terms(kind.schema, own)
        })
        .collect()
}

/// The attributes of one type that a `select` over several names, with `uuid`; names of other types are left out.
///
/// # Errors
/// Where it is no list of text.
pub fn parse_select(
    schema: &Schema,
    select: &Value,
) -> Result<Option<Vec<&'static str>>, FieldError> {
    let list = match select {
        Value::Null => return Ok(None),
        Value::Array(list) if list.iter().all(Value::is_string) => list,
        _ => return Err(error("select", "must be a list of attribute names")),
    };
    let mut names = vec!["uuid"];
    for name in list.iter().filter_map(Value::as_str) {
        let own = name.strip_prefix(schema.table).and_then(|rest| rest.strip_prefix('.'));
        if let Some(attribute) = schema.attribute(own.unwrap_or(name))
            && !names.contains(&attribute.name)
        {
            names.push(attribute.name);
        }
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::filter::Attribute;

    const TEXT: AttributeKind = AttributeKind::Text;
    static GROUPS: Schema = Schema {
        table: "groups",
        attributes: &[
            Attribute { name: "uuid", kind: TEXT },
            Attribute { name: "modified_at", kind: AttributeKind::Time },
            Attribute { name: "name", kind: TEXT },
            Attribute { name: "group_class", kind: TEXT },
            Attribute { name: "properties", kind: AttributeKind::Json },
        ],
        joins: &[],
    };
    static REQUESTS: Schema = Schema {
        table: "container_requests",
        attributes: &[
            Attribute { name: "uuid", kind: TEXT },
            Attribute { name: "modified_at", kind: AttributeKind::Time },
            Attribute { name: "name", kind: TEXT },
            Attribute { name: "priority", kind: AttributeKind::Integer },
        ],
        joins: &[],
    };
    const KINDS: [Kind; 2] = [
        Kind { schema: &GROUPS, type_code: "j7d0g" },
        Kind { schema: &REQUESTS, type_code: "xvhdp" },
    ];

    /// How many filters are left for groups and requests; none where no record matches.
    #[track_caller]
    fn check(filters: &Value, groups: Option<usize>, requests: Option<usize>) {
        let parsed = parse_filters(&KINDS, filters).unwrap();
        let lengths: Vec<Option<usize>> =
            parsed.iter().map(|filters| filters.as_ref().map(Vec::len)).collect();
        assert_eq!(lengths, [groups, requests], "{filters}");
    }

    #[test]
    fn a_table_s_name_before_a_dot_leaves_other_records_alone() {
        check(&json!([["groups.name", "ilike", "%%"]]), Some(1), Some(0));
        check(&json!([["collections.name", "ilike", "%%"]]), Some(0), Some(0));
        check(&json!([["collections.properties.type", "not in", ["log"]]]), Some(0), Some(0));
        check(&json!([["name", "=", "x"]]), Some(1), Some(1));
        check(&json!([["priority", ">", 1]]), None, Some(1));
        check(&json!([["properties.k", "=", "x"]]), Some(1), None);
        check(&json!([["uuid", "is_a", "arvados#group"]]), Some(1), None);
        check(
            &json!([["uuid", "is_a", ["arvados#group", "arvados#containerRequest"]]]),
            Some(1),
            Some(1),
        );
        check(&json!([["uuid", "is_a", "arvados#workflow"], ["name", "=", "x"]]), None, None);
        check(&json!([[["priority", "group_class"], "=", "1"]]), Some(1), Some(1));
        check(&json!([["any", "ilike", "%x%"]]), Some(1), Some(1));
    }

    #[test]
    fn a_name_that_no_type_has_is_an_error() {
        for filters in [json!([["color", "=", "x"]]), json!([["other.color", "=", "x"]])] {
            let problem = parse_filters(&KINDS, &filters).unwrap_err().to_string();
            assert!(problem.contains("which none of these records has"), "{problem}");
        }
        assert!(parse_filters(&KINDS, &json!([["groups.color", "=", "x"]])).is_err());
        assert!(parse_filters(&KINDS, &json!([["name", "~", "x"]])).is_err());
        assert!(parse_order(&KINDS, &json!("color")).is_err());
    }

    fn order(order: &Value) -> Vec<String> {
        let orders = parse_order(&KINDS, order).unwrap();
        let text = |terms: &Vec<OrderTerm>| {
            let terms = terms
                .iter()
                .map(|term| {
                    let sign = if term.descending { "-" } else { "" };
                    format!("{sign}{}", term.attribute.name)
                })
                .collect::<Vec<_>>();
            terms.join(" ")
        };
        orders.iter().map(text).collect()
    }

    #[test]
    fn each_type_takes_its_own_terms_of_the_order() {
        let same = order(&json!(
            "collections.modified_at desc,groups.modified_at desc,container_requests.modified_at desc"
        ));
        assert_eq!(same, ["-modified_at -uuid", "-modified_at -uuid"]);
        assert_eq!(order(&json!(["name", "name"])), ["name -modified_at -uuid"; 2]);
        let two = order(&json!(["groups.name asc", "uuid"]));
        assert_eq!(two, ["name uuid", "uuid"]);
        assert_eq!(
            order(&json!("priority")),
            ["-modified_at -uuid", "priority -modified_at -uuid"]
        );
    }

    #[test]
    fn select_takes_what_a_type_has() {
        let select = json!(["name", "container_image", "priority", "kind", "groups.group_class"]);
        assert_eq!(
            parse_select(&GROUPS, &select).unwrap(),
            Some(vec!["uuid", "name", "group_class"])
        );
        assert_eq!(
            parse_select(&REQUESTS, &select).unwrap(),
            Some(vec!["uuid", "name", "priority"])
        );
        assert_eq!(parse_select(&GROUPS, &json!(null)).unwrap(), None);
        assert!(parse_select(&GROUPS, &json!("name")).is_err());
    }
}
