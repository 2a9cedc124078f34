//! Data: what inputs, outputs and expressions are made of.

use indexmap::IndexMap;

use crate::number::Number;

/// Keys in the order in which they were written.
pub type Object = IndexMap<String, Value>;

/// A JSON value whose numbers keep every digit.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its decimal text.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// A record, File, Directory or any other object.
    Object(Object),
}

/// `null`, to borrow.
pub static NULL: Value = Value::Null;

impl Value {
    /// An object of these entries.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Its text, where it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Its truth value, where it is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// Its number, where it is one.
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// As a whole number of 64 bits; `3.0` is none.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// As the nearest floating-point number.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// Its items, where it is a list.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// Its entries, where it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(entries) = self { Some(entries) } else { None }
    }

    /// The entry of an object; `null` where it or the object is missing.
    pub fn get(&self, key: &str) -> &Value {
        self.as_object().and_then(|entries| entries.get(key)).unwrap_or(&NULL)
    }

    /// The text of an entry.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).as_str()
    }

    /// Sets an entry of an object; nothing where it is none.
    pub fn set(&mut self, key: &str, value: Value) {
        if let Self::Object(entries) = self {
            entries.insert(key.to_owned(), value);
        }
    }

    /// Whether it is an object whose `class` this is.
    pub fn is_class(&self, class: &str) -> bool {
        self.text("class") == Some(class)
    }

    /// Whether it is a File object.
    pub fn is_file(&self) -> bool {
        self.is_class("File")
    }

    /// Whether it is a Directory object.
    pub fn is_directory(&self) -> bool {
        self.is_class("Directory")
    }

    /// What kind of value it is, in the words of documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(number) if number.is_integer() => "int",
            Self::Number(_) => "float",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) if self.is_file() => "File",
            Self::Object(_) if self.is_directory() => "Directory",
            Self::Object(_) => "record",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}
