//! The filter, order and select language of Arvados list requests, parsed and checked.
//!
//! Pure: text and JSON in, a typed [`ListQuery`] out. Names are looked up in a [`Schema`], so a
//! parsed query holds only names we wrote ourselves; `store` renders it without meeting a string
//! that came from outside as anything but a bound value. Start at [`parse_filters`].
//!
//! Operators: `=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `like`, `ilike`, `exists`,
//! `contains`, `is_a`; and comparisons of two numbers of a record, `"(lock_count < priority)"`. `!=` and `not in` also
//! match a missing value, as in Arvados. Not here: full text search (`@@`), which Arvados took out.
//!
//! [`mixed`] has the same for lists of several record types at once.

mod expression;
pub mod mixed;
mod parse;
#[cfg(test)]
mod tests;

pub use parse::{parse_filters, parse_order, parse_select, parse_time};

/// Most filters in one request; a list page sends fewer than ten.
pub const FILTERS_MAX: usize = 100;
/// Most values in one `in` list; clients send at most one page (1000) of identifiers.
pub const FILTER_VALUES_MAX: usize = 10_000;
/// Longest `like` pattern, in bytes: long patterns cost the database quadratic time.
pub const FILTER_PATTERN_BYTES_MAX: usize = 1024;
/// Attributes whose values may hold secrets that not every reader sees (`initial_path`): asked for being there only, since
/// a pattern could find a secret out letter by letter.
pub const FILTER_BY_EXISTENCE: &[&str] = &["published_ports"];
/// Most terms in one `order`.
pub const ORDER_TERMS_MAX: usize = 20;

/// What a column holds, which decides how operands are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeKind {
    /// Text, nullable.
    Text,
    /// A 64-bit integer.
    Integer,
    /// A double.
    Float,
    /// True or false.
    Boolean,
    /// A timestamp, kept as RFC 3339 text with nine fraction digits and `Z`.
    Time,
    /// An object or array, kept as JSON text.
    Json,
}

/// One attribute of a record type, as clients name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// The name on the wire, which is also the column's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: AttributeKind,
}

/// The attributes of one record type that lists may filter, order and select.
#[derive(Debug)]
pub struct Schema {
    /// Plural resource name, which is also the table's name (`container_requests`).
    pub table: &'static str,
    /// All attributes on the wire.
    pub attributes: &'static [Attribute],
    /// Record types reachable with a prefix (`container.state` on container requests).
    pub joins: &'static [Join],
}

/// A record type that filters reach through a prefix.
#[derive(Debug)]
pub struct Join {
    /// The prefix before the dot (`container`).
    pub prefix: &'static str,
    /// The attribute of this record that holds the other's identifier (`container_uuid`).
    pub via: &'static str,
    /// The other record type.
    pub schema: &'static Schema,
}

impl Schema {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<Attribute> {
        self.attributes.iter().find(|a| a.name == name).copied()
    }

    /// The join with this prefix.
    pub fn join(&self, prefix: &str) -> Option<&'static Join> {
        self.joins.iter().find(|join| join.prefix == prefix)
    }
}

/// What one condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Prefix of the join it goes through, none for the listed record itself.
    pub join: Option<&'static str>,
    /// The attribute.
    pub attribute: Attribute,
    /// A key inside a JSON attribute (`properties.color` → `color`).
    pub key: Option<String>,
}

/// A plain value, already of the target's kind. Times are [`Scalar::Text`] in stored form.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// SQL null.
    Null,
    /// Text, or a time in stored form.
    Text(String),
    /// Integer.
    Integer(i64),
    /// Double.
    Float(f64),
    /// True or false.
    Boolean(bool),
}

/// Order comparisons and equality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`, `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What is asked of a target.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// A comparison; only [`Comparison::Equal`] and [`Comparison::NotEqual`] come with null.
    Compare(Comparison, Scalar),
    /// Membership; `negated` also matches null, unless null is in the list.
    In {
        /// The list, possibly empty (which matches nothing, or everything when negated).
        values: Vec<Scalar>,
        /// `not in`.
        negated: bool,
    },
    /// `%` and `_` wildcards.
    Like {
        /// The pattern; backslash escapes.
        pattern: String,
        /// False for `ilike`.
        case_sensitive: bool,
    },
    /// The key exists in the JSON attribute.
    Exists(bool),
    /// The JSON array has all of these, or the JSON value is this.
    Contains(Vec<Scalar>),
    /// A comparison with another numeric attribute of the same record.
    CompareTo(Comparison, Attribute),
    /// The identifier has one of these type codes (`xvhdp`).
    IsA(Vec<String>),
}

/// One target and what is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// What to look at.
    pub target: Target,
    /// What to ask.
    pub test: Test,
}

/// One filter: true when any of its conditions is (several for `any` and attribute lists).
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// At least one.
    pub any_of: Vec<Condition>,
}

/// One term of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTerm {
    /// Own attribute only.
    pub attribute: Attribute,
    /// `desc`.
    pub descending: bool,
}

/// A whole list request.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Completed with the default order, so that it is total.
    pub order: Vec<OrderTerm>,
    /// Attributes to answer; none means all.
    pub select: Option<Vec<&'static str>>,
    /// Drop equal rows (of the selected attributes).
    pub distinct: bool,
    /// Most rows to answer; 0 is legal (count only).
    pub limit: u32,
    /// Rows to skip.
    pub offset: u32,
    /// Also count all matching rows.
    pub count: bool,
    /// Also what is in the trash.
    pub include_trash: bool,
    /// Also old versions of collections.
    pub include_old_versions: bool,
}

impl ListQuery {
    /// Everything, newest first: what a list request without parameters means.
    pub fn all(schema: &Schema) -> Self {
        Self {
            filters: Vec::new(),
            order: parse::complete_order(schema, Vec::new()),
            select: None,
            distinct: false,
            limit: 100,
            offset: 0,
            count: true,
            include_trash: false,
            include_old_versions: false,
        }
    }
}

/// The kinds of records and the type codes inside their identifiers; the digits are fixed by Arvados.
const KINDS: [(&str, &str); 14] = [
    ("arvados#collection", "4zz18"),
    ("arvados#container", "dz642"),
    ("arvados#containerRequest", "xvhdp"),
    ("arvados#link", "o0j2j"),
    ("arvados#group", "j7d0g"),
    ("arvados#user", "tpzed"),
    ("arvados#workflow", "7fd4e"),
    ("arvados#log", "57u5n"),
    ("arvados#keepService", "bi6l4"),
    ("arvados#apiClientAuthorization", "gj3su"),
    ("arvados#credential", "oss07"),
    ("arvados#authorizedKey", "fngyi"),
    ("arvados#virtualMachine", "2x53u"),
    ("arvados#userAgreement", "gv0sa"),
];

/// The type code inside identifiers of a kind (`arvados#containerRequest` → `xvhdp`).
pub fn type_code_of_kind(kind: &str) -> Option<&'static str> {
    let name = kind.strip_prefix("arvados#").unwrap_or(kind);
    let found = KINDS.iter().find(|(kind, _)| kind.strip_prefix("arvados#") == Some(name));
    found.map(|(_, code)| *code)
}

/// The kind of what has this type code in its identifier (`xvhdp` → `arvados#containerRequest`).
pub fn kind_of_type_code(code: &str) -> Option<&'static str> {
    KINDS.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
}
