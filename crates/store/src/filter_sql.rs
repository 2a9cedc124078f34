//! Parsed filters as SQL conditions (SQLite's dialect; the one file to add PostgreSQL's to).

use model::filter::{Comparison, Condition, Filter, Scalar, Schema, Target, Test};
use sea_query::{Alias, Cond, Expr, ExprTrait as _, Func, SimpleExpr, Value};

/// The condition that all filters hold.
pub(crate) fn all_of(schema: &'static Schema, filters: &[Filter]) -> Cond {
    filters.iter().fold(Cond::all(), |all, filter| {
        let any =
            filter.any_of.iter().fold(Cond::any(), |any, one| any.add(condition(schema, one)));
        all.add(any)
    })
}

/// The prefixes of joins that the filters go through.
pub(crate) fn joins_used(filters: &[Filter]) -> Vec<&'static str> {
    let mut prefixes: Vec<&'static str> =
        filters.iter().flat_map(|f| &f.any_of).filter_map(|c| c.target.join).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

fn column(schema: &'static Schema, target: &Target) -> SimpleExpr {
    let table =
        target.join.and_then(|prefix| schema.join(prefix)).map_or(schema.table, |j| j.schema.table);
    Expr::col((Alias::new(table), Alias::new(target.attribute.name)))
}

/// The JSON path of a key. Keys hold no quotes (refused when parsed), so none can end early.
fn path(key: &str) -> SimpleExpr {
    Expr::val(format!("$.\"{key}\""))
}

fn call(function: &'static str, arguments: impl IntoIterator<Item = SimpleExpr>) -> SimpleExpr {
    Func::cust(Alias::new(function)).args(arguments).into()
}

fn condition(schema: &'static Schema, condition: &Condition) -> SimpleExpr {
    let Condition { target, test } = condition;
    let column = column(schema, target);
    let operand = match &target.key {
        Some(key) => call("json_extract", [column.clone(), path(key)]),
        None => column.clone(),
    };
    match test {
        // json_extract shows true as 1, so that only the type tells it from the number.
        Test::Compare(comparison, Scalar::Boolean(flag)) if target.key.is_some() => {
            let key = target.key.as_deref().unwrap_or_default();
            let word = if *flag { "true" } else { "false" };
            compare(
                call("json_type", [column, path(key)]),
                *comparison,
                &Scalar::Text(word.to_owned()),
            )
        }
        Test::Compare(comparison, scalar) => compare(operand, *comparison, scalar),
        Test::In { values, negated } => membership(operand, values, *negated),
        Test::Like { pattern, case_sensitive: true } => {
            Expr::cust_with_exprs("? GLOB ?", [operand, Expr::val(glob_of_like(pattern))])
        }
        Test::Like { pattern, case_sensitive: false } => Expr::cust_with_exprs(
            "? LIKE ? ESCAPE '!'",
            [operand, Expr::val(escape_with_bang(pattern))],
        ),
        Test::Exists(wanted) => {
            let found =
                call("json_type", [column, path(target.key.as_deref().unwrap_or_default())]);
            if *wanted { found.is_not_null() } else { found.is_null() }
        }
        Test::Contains(members) => contains(&column, target.key.as_deref(), members),
        Test::CompareTo(comparison, other) => {
            let other = Target { join: None, attribute: *other, key: None };
            compare_columns(operand, *comparison, self::column(schema, &other))
        }
        Test::IsA(codes) => {
            // Characters 7 to 11 of an identifier are its type code.
            let code = call("substr", [operand, Expr::val(7), Expr::val(5)]);
            code.is_in(codes.iter().map(String::as_str))
        }
    }
}

fn compare(operand: SimpleExpr, comparison: Comparison, scalar: &Scalar) -> SimpleExpr {
    match (comparison, value(scalar)) {
        (Comparison::Equal, None) => operand.is_null(),
        (Comparison::NotEqual, None) => operand.is_not_null(),
        (Comparison::Equal, Some(value)) => operand.eq(value),
        // Arvados: what is missing differs from everything.
        (Comparison::NotEqual, Some(value)) => operand.clone().ne(value).or(operand.is_null()),
        (Comparison::Less, value) => operand.lt(or_null(value)),
        (Comparison::LessOrEqual, value) => operand.lte(or_null(value)),
        (Comparison::Greater, value) => operand.gt(or_null(value)),
        (Comparison::GreaterOrEqual, value) => operand.gte(or_null(value)),
    }
}

fn compare_columns(left: SimpleExpr, comparison: Comparison, right: SimpleExpr) -> SimpleExpr {
    match comparison {
        Comparison::Equal => left.eq(right),
        Comparison::NotEqual => left.ne(right),
        Comparison::Less => left.lt(right),
        Comparison::LessOrEqual => left.lte(right),
        Comparison::Greater => left.gt(right),
        Comparison::GreaterOrEqual => left.gte(right),
    }
}

fn membership(operand: SimpleExpr, values: &[Scalar], negated: bool) -> SimpleExpr {
    let with_null = values.contains(&Scalar::Null);
    let present: Vec<Value> = values.iter().filter_map(value).collect();
    match (negated, with_null) {
        (false, false) => operand.is_in(present),
        (false, true) => operand.clone().is_in(present).or(operand.is_null()),
        (true, false) => operand.clone().is_not_in(present).or(operand.is_null()),
        (true, true) => operand.clone().is_not_in(present).and(operand.is_not_null()),
    }
}

fn contains(column: &SimpleExpr, key: Option<&str>, members: &[Scalar]) -> SimpleExpr {
    let has = |member: &Scalar| {
        let place = key.map_or_else(|| Expr::val("$"), path);
        Expr::cust_with_exprs(
            "EXISTS (SELECT 1 FROM json_each(?, ?) WHERE value = ?)",
            [column.clone(), place, Expr::val(or_null(value(member)))],
        )
    };
    // An empty list is contained in everything.
    members.iter().map(has).reduce(SimpleExpr::and).unwrap_or_else(|| Expr::val(1).eq(1))
}

fn value(scalar: &Scalar) -> Option<Value> {
    match scalar {
        Scalar::Null => None,
        Scalar::Text(text) => Some(text.clone().into()),
        Scalar::Integer(number) => Some((*number).into()),
        Scalar::Float(number) => Some((*number).into()),
        Scalar::Boolean(flag) => Some((*flag).into()),
    }
}

fn or_null(value: Option<Value>) -> Value {
    value.unwrap_or(Value::String(None))
}

/// A `like` pattern as a `GLOB` pattern: SQLite's own `LIKE` knows no upper and lower case.
pub(crate) fn glob_of_like(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len() + 8);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => glob.push('*'),
            '_' => glob.push('?'),
            '\\' => push_literal(&mut glob, characters.next().unwrap_or('\\')),
            other => push_literal(&mut glob, other),
        }
    }
    glob
}

fn push_literal(glob: &mut String, character: char) {
    if matches!(character, '*' | '?' | '[') {
        glob.extend(['[', character, ']']);
    } else {
        glob.push(character);
    }
}

/// A `like` pattern whose escape character is `!` instead of the backslash.
pub(crate) fn escape_with_bang(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len() + 8);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '!' => escaped.push_str("!!"),
            '\\' => match characters.next() {
                Some(next @ ('%' | '_' | '!')) => escaped.extend(['!', next]),
                Some(next) => escaped.push(next),
                None => escaped.push('\\'),
            },
            other => escaped.push(other),
        }
    }
    escaped
}
