//! Parsed filters as SQL conditions; what the databases say differently is in [`crate::dialect`].

use model::filter::{Comparison, Condition, Filter, Scalar, Schema, Target, Test};
use sea_query::{Alias, Cond, Expr, ExprTrait as _, SimpleExpr, Value};

use crate::dialect::{Dialect, call, type_code_of, value};

/// The condition that all filters hold.
pub(crate) fn all_of(dialect: Dialect, schema: &'static Schema, filters: &[Filter]) -> Cond {
    filters.iter().fold(Cond::all(), |all, filter| {
        let conditions = filter.any_of.iter().map(|one| condition(dialect, schema, one));
        let any = conditions.fold(Cond::any(), Cond::add);
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

fn condition(dialect: Dialect, schema: &'static Schema, condition: &Condition) -> SimpleExpr {
    let Condition { target, test } = condition;
    let column = column(schema, target);
    let key = target.key.as_deref();
    match (test, key) {
        (Test::Compare(comparison, scalar), None) => compare(column, *comparison, scalar),
        (Test::Compare(comparison, scalar), Some(key)) => {
            compare_key(dialect, column, key, *comparison, scalar)
        }
        (Test::In { values, negated }, None) => membership(column, values, *negated),
        (Test::In { values, negated }, Some(key)) => {
            key_membership(dialect, &column, key, values, *negated)
        }
        (Test::Like { pattern, case_sensitive }, None) => {
            dialect.matches(column, pattern, *case_sensitive)
        }
        (Test::Like { pattern, case_sensitive }, Some(key)) => {
            dialect.matches(dialect.json_pattern_text(column, key), pattern, *case_sensitive)
        }
        (Test::Exists(wanted), key) => {
            let found = dialect.json_has_key(column, key.unwrap_or_default());
            if *wanted { found } else { found.not() }
        }
        (Test::Contains(members), key) => {
            let has = |member| dialect.json_contains(column.clone(), key, member);
            // An empty list is contained in everything.
            members.iter().map(has).reduce(SimpleExpr::and).unwrap_or_else(|| Expr::val(1).eq(1))
        }
        (Test::CompareTo(comparison, other), _) => {
            let other = Target { join: None, attribute: *other, key: None };
            compare_columns(column, *comparison, self::column(schema, &other))
        }
        (Test::IsA(codes), _) => type_code_of(column).is_in(codes.iter().map(String::as_str)),
    }
}

/// A comparison with the value of a key.
fn compare_key(
    dialect: Dialect,
    json: SimpleExpr,
    key: &str,
    comparison: Comparison,
    scalar: &Scalar,
) -> SimpleExpr {
    match (comparison, scalar) {
        (Comparison::Equal, scalar) => dialect.json_equals(json, key, scalar),
        (Comparison::NotEqual, Scalar::Null) => dialect.json_equals(json, key, scalar).not(),
        // Arvados: what is missing differs from everything.
        (Comparison::NotEqual, scalar) => differs(dialect.json_equals(json, key, scalar)),
        (_, scalar) => compare(dialect.json_ordered(json, key, scalar), comparison, scalar),
    }
}

/// False or unknown.
fn differs(equals: SimpleExpr) -> SimpleExpr {
    call("coalesce", [equals, Expr::cust("FALSE")]).not()
}

fn key_membership(
    dialect: Dialect,
    json: &SimpleExpr,
    key: &str,
    values: &[Scalar],
    negated: bool,
) -> SimpleExpr {
    let present = dialect.json_is_among(json, key, values);
    let is_null = || dialect.json_equals(json.clone(), key, &Scalar::Null);
    match (negated, values.contains(&Scalar::Null)) {
        (false, false) => present,
        (false, true) => present.or(is_null()),
        (true, false) => differs(present),
        (true, true) => differs(present).and(is_null().not()),
    }
}

fn compare(operand: SimpleExpr, comparison: Comparison, scalar: &Scalar) -> SimpleExpr {
    match (comparison, scalar) {
        (Comparison::Equal, Scalar::Null) => operand.is_null(),
        (Comparison::NotEqual, Scalar::Null) => operand.is_not_null(),
        (Comparison::Equal, scalar) => operand.eq(value(scalar)),
        // Arvados: what is missing differs from everything.
        (Comparison::NotEqual, scalar) => operand.clone().ne(value(scalar)).or(operand.is_null()),
        (Comparison::Less, scalar) => operand.lt(value(scalar)),
        (Comparison::LessOrEqual, scalar) => operand.lte(value(scalar)),
        (Comparison::Greater, scalar) => operand.gt(value(scalar)),
        (Comparison::GreaterOrEqual, scalar) => operand.gte(value(scalar)),
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
    let present: Vec<Value> =
        values.iter().filter(|scalar| **scalar != Scalar::Null).map(value).collect();
    match (negated, with_null) {
        (false, false) => operand.is_in(present),
        (false, true) => operand.clone().is_in(present).or(operand.is_null()),
        (true, false) => operand.clone().is_not_in(present).or(operand.is_null()),
        (true, true) => operand.clone().is_not_in(present).and(operand.is_not_null()),
    }
}
