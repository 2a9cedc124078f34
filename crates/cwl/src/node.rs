//! Documents as read: values that know where they stand.

use indexmap::IndexMap;

use crate::number::Number;
use crate::value::Value;

/// Where a node stands: which file of the loader, line and column from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct At {
    /// Index of the file in its [`crate::load::Loader`].
    pub(crate) file: u32,
    /// From 1.
    pub(crate) line: u32,
    /// From 1.
    pub(crate) column: u32,
}

/// A value in a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Its beginning.
    pub(crate) at: At,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Entries of a mapping; the key's place goes with its node.
pub(crate) type Entries = IndexMap<String, Node>;

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Node>),
    /// A mapping.
    Object(Entries),
}

impl Node {
    /// Its text, where it is text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Kind::String(text) = &self.kind { Some(text) } else { None }
    }

    /// Its items, where it is a list.
    pub(crate) fn as_array(&self) -> Option<&[Node]> {
        if let Kind::Array(items) = &self.kind { Some(items) } else { None }
    }

    /// Its entries, where it is a mapping.
    pub(crate) fn as_object(&self) -> Option<&Entries> {
        if let Kind::Object(entries) = &self.kind { Some(entries) } else { None }
    }

    /// An entry that is there and not `null`.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_object().and_then(|entries| entries.get(key)).filter(|node| !node.is_null())
    }

    /// The text of an entry.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::as_str)
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// Without its places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::String(text) => Value::String(text.clone()),
            Kind::Array(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Kind::Object(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.clone(), node.to_value())).collect(),
            ),
        }
    }

    /// What kind of thing it is, for messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "text",
            Kind::Array(_) => "a list",
            Kind::Object(_) => "a mapping",
        }
    }
}
