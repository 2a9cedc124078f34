//! What SQLite and PostgreSQL say differently. Everything else is written once, in words that both understand.
//!
//! Both keep the same forms: JSON and times as text, text compared by its bytes (`COLLATE "C"` in PostgreSQL), NULL
//! before everything else. So the same question has the same answer, in the same order.
//!
//! PostgreSQL reads JSON text as `jsonb` where a query looks into it; the indexes on properties hold that form.

use model::filter::{Attribute, AttributeKind, Scalar};
use sea_query::{Alias, Expr, ExprTrait as _, Func, NullOrdering, Order, SimpleExpr, Value};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Attributes that are never null in any table: only their order can be read from an index in PostgreSQL.
const NEVER_NULL: &[&str] = &["uuid", "owner_uuid", "created_at", "modified_at", "name", "id"];

/// Values of a property for which PostgreSQL is asked one by one, as its indexes on properties are searched; more are
/// compared with every row.
const BY_INDEX_MAX: usize = 50;

impl Dialect {
    /// The text in its own words.
    pub(crate) fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }

    /// An expression from a text with a `?` for each operand.
    fn custom<const N: usize>(self, text: &'static str, operands: [SimpleExpr; N]) -> SimpleExpr {
        if self == Self::Sqlite {
            return Expr::cust_with_exprs(text, operands);
        }
        let mut numbered = String::with_capacity(text.len() + 2 * N);
        for (at, part) in text.split('?').enumerate() {
            if at > 0 {
                numbered.push('$');
                numbered.push_str(&at.to_string());
            }
            numbered.push_str(part);
        }
        Expr::cust_with_exprs(numbered, operands)
    }

    /// Whether a value is one of the texts of a JSON list. Bound as one value however many they are, so that neither
    /// the statement's text nor a limit on values depends on it.
    pub(crate) fn is_among(self, value: SimpleExpr, list: String) -> SimpleExpr {
        let text = self.pick(
            "? IN (SELECT value FROM json_each(?))",
            // An array is made once, and searched for in an index.
            "? = ANY(ARRAY(SELECT jsonb_array_elements_text(?::jsonb)))",
        );
        self.custom(text, [value, Expr::val(list)])
    }

    /// The same as text behind a column, where the list is the value at this place of a statement of our own words.
    pub(crate) fn among(self, place: usize) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each(${place}))"),
            Self::Postgres => {
                format!("= ANY(ARRAY(SELECT jsonb_array_elements_text(${place}::jsonb)))")
            }
        }
    }

    /// NULL as a value of this kind.
    pub(crate) fn null_of(self, kind: AttributeKind) -> SimpleExpr {
        let name = match kind {
            AttributeKind::Integer => "BIGINT",
            AttributeKind::Float => "DOUBLE PRECISION",
            AttributeKind::Boolean => "BOOLEAN",
            AttributeKind::Text | AttributeKind::Time | AttributeKind::Json => "TEXT",
        };
        Expr::cust(format!("CAST(NULL AS {name})"))
    }

    /// How an attribute orders, and where its nulls go.
    pub(crate) fn order(self, by: Attribute, descending: bool) -> (Order, Option<NullOrdering>) {
        let nullable = self == Self::Postgres && !NEVER_NULL.contains(&by.name);
        if descending {
            (Order::Desc, nullable.then_some(NullOrdering::Last))
        } else {
            (Order::Asc, nullable.then_some(NullOrdering::First))
        }
    }

    /// A `like` (or `ilike`) pattern, which the backslash escapes. `ilike` knows the letters of ASCII alone.
    pub(crate) fn matches(
        self,
        text: SimpleExpr,
        pattern: &str,
        case_sensitive: bool,
    ) -> SimpleExpr {
        // SQLite's own LIKE knows no upper and lower case.
        if self == Self::Sqlite && case_sensitive {
            return self.custom("? GLOB ?", [text, Expr::val(glob_of_like(pattern))]);
        }
        let words = match (self, case_sensitive) {
            (Self::Sqlite, _) => "? LIKE ? ESCAPE '!'",
            (Self::Postgres, true) => "? LIKE ? ESCAPE '!'",
            (Self::Postgres, false) => "? ILIKE ? COLLATE \"C\" ESCAPE '!'",
        };
        self.custom(words, [text, Expr::val(escape_with_bang(pattern))])
    }

    /// Whether the value of a key is this one: of the same type, and equal. May be unknown where it is not.
    pub(crate) fn json_equals(self, json: SimpleExpr, key: &str, scalar: &Scalar) -> SimpleExpr {
        match (self, scalar) {
            (_, Scalar::Null) => self.json_text(json, key).is_null(),
            (Self::Sqlite, Scalar::Boolean(flag)) => {
                // json_extract shows true as 1, so that only the type tells it from the number.
                json_type(json, key).eq(if *flag { "true" } else { "false" })
            }
            (Self::Sqlite, scalar) => self.json_ordered(json, key, scalar).eq(value(scalar)),
            // As an index on the properties answers it.
            (Self::Postgres, scalar) => self.custom(
                "(?)::jsonb @> (?)::jsonb",
                [json, Expr::val(object(key, &json_of(scalar)))],
            ),
        }
    }

    /// Whether the value of a key is one of these; nulls among them are left out. May be unknown where it is not.
    pub(crate) fn json_is_among(
        self,
        json: &SimpleExpr,
        key: &str,
        scalars: &[Scalar],
    ) -> SimpleExpr {
        let present = || scalars.iter().filter(|scalar| **scalar != Scalar::Null);
        if self == Self::Postgres && present().count() > BY_INDEX_MAX {
            let objects: Vec<String> = present().map(|it| object(key, &json_of(it))).collect();
            let list = Expr::val(format!("[{}]", objects.join(",")));
            let words = "(?)::jsonb @> ANY(ARRAY(SELECT jsonb_array_elements(?::jsonb)))";
            return self.custom(words, [json.clone(), list]);
        }
        let nothing = Expr::cust("FALSE");
        if self == Self::Postgres {
            let equal = present().map(|scalar| self.json_equals(json.clone(), key, scalar));
            return equal.reduce(SimpleExpr::or).unwrap_or(nothing);
        }
        // A list for each type: SQLite takes a thousand terms of OR at most.
        let of = |is_such: fn(&Scalar) -> bool| -> Vec<&Scalar> {
            present().filter(|scalar| is_such(scalar)).collect()
        };
        let texts = of(|scalar| matches!(scalar, Scalar::Text(_)));
        let numbers = of(|scalar| matches!(scalar, Scalar::Integer(_) | Scalar::Float(_)));
        let by_type = [texts, numbers].into_iter().filter_map(|these| {
            let operand = self.json_ordered(json.clone(), key, these.first()?);
            Some(operand.is_in(these.into_iter().map(value)))
        });
        let flags = [true, false].map(Scalar::Boolean).into_iter();
        let flags = flags
            .filter(|flag| scalars.contains(flag))
            .map(|flag| self.json_equals(json.clone(), key, &flag));
        by_type.chain(flags).reduce(SimpleExpr::or).unwrap_or(nothing)
    }

    /// The value of a key where it has the type of this one, to be compared with it by size; else null.
    pub(crate) fn json_ordered(self, json: SimpleExpr, key: &str, scalar: &Scalar) -> SimpleExpr {
        let is_text = matches!(scalar, Scalar::Text(_));
        match self {
            Self::Sqlite => {
                let words = if is_text {
                    "CASE WHEN ? = 'text' THEN ? END"
                } else {
                    "CASE WHEN ? IN ('integer', 'real') THEN ? END"
                };
                self.custom(words, [json_type(json.clone(), key), json_extract(json, key)])
            }
            Self::Postgres => {
                let words = if is_text {
                    "(CASE WHEN jsonb_typeof((?)::jsonb -> ?) = 'string' \
                     THEN (?)::jsonb ->> ? END) COLLATE \"C\""
                } else {
                    "(CASE WHEN jsonb_typeof((?)::jsonb -> ?) = 'number' \
                     THEN ((?)::jsonb ->> ?)::numeric END)"
                };
                self.custom(words, [json.clone(), Expr::val(key), json, Expr::val(key)])
            }
        }
    }

    /// The text or number of a key as text, to be matched with a pattern; null where it is something else.
    pub(crate) fn json_pattern_text(self, json: SimpleExpr, key: &str) -> SimpleExpr {
        match self {
            Self::Sqlite => self.custom(
                "CASE WHEN ? IN ('text', 'integer', 'real') THEN ? END",
                [json_type(json.clone(), key), json_extract(json, key)],
            ),
            Self::Postgres => self.custom(
                "(CASE WHEN jsonb_typeof((?)::jsonb -> ?) IN ('string', 'number') \
                 THEN (?)::jsonb ->> ? END) COLLATE \"C\"",
                [json.clone(), Expr::val(key), json, Expr::val(key)],
            ),
        }
    }

    /// The value of a key in some form; null where it is null or there is no such key.
    fn json_text(self, json: SimpleExpr, key: &str) -> SimpleExpr {
        match self {
            Self::Sqlite => json_extract(json, key),
            Self::Postgres => self.custom("((?)::jsonb ->> ?)", [json, Expr::val(key)]),
        }
    }

    /// Whether there is such a key.
    pub(crate) fn json_has_key(self, json: SimpleExpr, key: &str) -> SimpleExpr {
        match self {
            Self::Sqlite => json_type(json, key).is_not_null(),
            Self::Postgres => {
                // The operator's own sign, `?`, is that of a bound value elsewhere.
                self.custom("COALESCE(jsonb_exists((?)::jsonb, ?), FALSE)", [json, Expr::val(key)])
            }
        }
    }

    /// Whether a JSON list, whole or under a key, has this member; under a key also whether the value is this.
    pub(crate) fn json_contains(
        self,
        json: SimpleExpr,
        key: Option<&str>,
        member: &Scalar,
    ) -> SimpleExpr {
        if self == Self::Sqlite {
            let place = key.map_or_else(|| "$".to_owned(), path);
            let (words, member) = match member {
                Scalar::Boolean(flag) => (
                    "(json_type(?, ?) <> 'object' AND \
                      EXISTS (SELECT 1 FROM json_each(?, ?) WHERE type = ?))",
                    Expr::val(if *flag { "true" } else { "false" }),
                ),
                other => (
                    "(json_type(?, ?) <> 'object' AND EXISTS (SELECT 1 FROM json_each(?, ?) \
                      WHERE type IN ('text', 'integer', 'real') AND value = ?))",
                    Expr::val(value(other)),
                ),
            };
            let of = || Expr::val(place.clone());
            return self.custom(words, [json.clone(), of(), json, of(), member]);
        }
        let member = json_of(member);
        let list = format!("[{member}]");
        let Some(key) = key else {
            return self.custom("(?)::jsonb @> (?)::jsonb", [json, Expr::val(list)]);
        };
        self.custom(
            "((?)::jsonb @> (?)::jsonb OR (?)::jsonb @> (?)::jsonb)",
            [json.clone(), Expr::val(object(key, &member)), json, Expr::val(object(key, &list))],
        )
    }
}

/// A function of SQL.
pub(crate) fn call(
    function: &'static str,
    arguments: impl IntoIterator<Item = SimpleExpr>,
) -> SimpleExpr {
    Func::cust(Alias::new(function)).args(arguments).into()
}

/// The characters of an identifier that say what it is of: the seventh to the eleventh.
pub(crate) fn type_code_of(uuid: SimpleExpr) -> SimpleExpr {
    call("substr", [uuid, Expr::val(7), Expr::val(5)])
}

fn json_extract(json: SimpleExpr, key: &str) -> SimpleExpr {
    call("json_extract", [json, Expr::val(path(key))])
}

fn json_type(json: SimpleExpr, key: &str) -> SimpleExpr {
    call("json_type", [json, Expr::val(path(key))])
}

/// SQLite's path of a key. Keys hold no quotes (refused when parsed), so none can end early.
fn path(key: &str) -> String {
    format!("$.\"{key}\"")
}

/// A JSON object of one key.
fn object(key: &str, value: &str) -> String {
    format!("{{{}:{value}}}", serde_json::Value::from(key))
}

fn json_of(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Null => serde_json::Value::Null,
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Integer(number) => (*number).into(),
        Scalar::Float(number) => (*number).into(),
        Scalar::Boolean(flag) => (*flag).into(),
    }
    .to_string()
}

/// A plain value to be bound.
pub(crate) fn value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Null => Value::String(None),
        Scalar::Text(text) => text.clone().into(),
        Scalar::Integer(number) => (*number).into(),
        Scalar::Float(number) => (*number).into(),
        Scalar::Boolean(flag) => (*flag).into(),
    }
}

/// A `like` pattern as a `GLOB` pattern: SQLite's own `LIKE` knows no upper and lower case.
fn glob_of_like(pattern: &str) -> String {
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
fn escape_with_bang(pattern: &str) -> String {
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

#[cfg(test)]
mod tests;
