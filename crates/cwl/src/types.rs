//! Types of parameters, and whether a value has one.

use std::fmt;
use std::sync::Arc;

use crate::document::{Binding, OutputBinding, SecondaryFile};
use crate::value::Value;

/// A type of CWL.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Only `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A number.
    Float,
    /// A number.
    Double,
    /// Text.
    String,
    /// A File object.
    File,
    /// A Directory object.
    Directory,
    /// Anything but `null`.
    Any,
    /// An input that is also the standard input.
    Stdin,
    /// An output: what the program wrote to its standard output.
    Stdout,
    /// An output: what it wrote to its standard error.
    Stderr,
    /// A list.
    Array(Arc<ArrayType>),
    /// Named fields.
    Record(Arc<RecordType>),
    /// One of some words.
    Enum(Arc<EnumType>),
    /// One of some types; the first that fits counts.
    Union(Vec<Type>),
}

/// A list's type.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayType {
    /// Of each item.
    pub items: Type,
    /// How each item is put on the command line.
    pub binding: Option<Binding>,
}

/// A record's type.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordType {
    /// Empty where it has none.
    pub name: String,
    /// In their order.
    pub fields: Vec<Field>,
    /// How the record is put on the command line.
    pub binding: Option<Binding>,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Short name.
    pub name: String,
    /// Of its value.
    pub ty: Type,
    /// How it is put on the command line.
    pub binding: Option<Binding>,
    /// How it is found in the output.
    pub collect: Option<OutputBinding>,
    /// What goes along with its files.
    pub secondary: Vec<SecondaryFile>,
    /// Format of its files.
    pub format: Option<Value>,
    /// Whether the first 64 KiB become `contents`.
    pub load_contents: bool,
    /// How deep a directory is listed.
    pub load_listing: Option<Listing>,
}

/// A list of words.
#[derive(Clone, Debug, PartialEq)]
pub struct EnumType {
    /// Short names.
    pub symbols: Vec<String>,
    /// How the word is put on the command line.
    pub binding: Option<Binding>,
}

/// How deep directories are listed for expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Not at all.
    None,
    /// Their direct contents.
    Shallow,
    /// Everything in them.
    Deep,
}

impl Type {
    /// A union that includes `null`.
    pub fn optional(self) -> Self {
        match self {
            Self::Union(mut members) => {
                if !members.contains(&Self::Null) {
                    members.insert(0, Self::Null);
                }
                Self::Union(members)
            }
            other => Self::Union(vec![Self::Null, other]),
        }
    }

    /// One of some types, which may be unions themselves.
    pub fn union(types: Vec<Self>) -> Self {
        let flat = types.into_iter().flat_map(|ty| match ty {
            Self::Union(members) => members,
            other => vec![other],
        });
        Self::Union(flat.collect())
    }

    /// A list of it.
    pub fn array(self) -> Self {
        Self::Array(Arc::new(ArrayType { items: self, binding: None }))
    }

    /// Its members: itself, where it is no union.
    pub fn members(&self) -> &[Type] {
        if let Self::Union(members) = self { members } else { std::slice::from_ref(self) }
    }

    /// Whether `null` is one of its values.
    pub fn allows_null(&self) -> bool {
        self.members().contains(&Self::Null)
    }

    /// The first member that a value has.
    pub fn member_of<'t>(&'t self, value: &Value) -> Option<&'t Type> {
        match self {
            Self::Union(members) => members.iter().find_map(|member| member.member_of(value)),
            ty => ty.has(value).then_some(ty),
        }
    }

    /// Whether a value has this type.
    pub fn has(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Union(members), value) => members.iter().any(|member| member.has(value)),
            (Self::Null, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Float | Self::Double, Value::Number(_))
            | (Self::String, Value::String(_)) => true,
            (Self::Any, value) => !value.is_null(),
            (Self::Int, value) => {
                value.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            // Longer ones than 64 bits come through as they are: nothing is done with them.
            (Self::Long, Value::Number(number)) => number.is_integer(),
            (Self::File | Self::Stdin | Self::Stdout | Self::Stderr, value) => value.is_file(),
            (Self::Directory, value) => value.is_directory(),
            (Self::Array(array), Value::Array(items)) => {
                items.iter().all(|item| array.items.has(item))
            }
            (Self::Record(record), Value::Object(entries)) => record
                .fields
                .iter()
                .all(|field| field.ty.has(entries.get(&field.name).unwrap_or(&crate::value::NULL))),
            (Self::Enum(words), Value::String(text)) => words.holds(text),
            _ => false,
        }
    }
}

impl EnumType {
    /// Whether a text is one of its words; a word may be given with its whole address.
    pub fn holds(&self, text: &str) -> bool {
        self.symbols.iter().any(|symbol| symbol == text || symbol == crate::uri::short_name(text))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::File => "File",
            Self::Directory => "Directory",
            Self::Any => "Any",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Array(array) => return write!(f, "array of {}", array.items),
            Self::Record(record) if record.name.is_empty() => "record",
            Self::Record(record) => return write!(f, "record {}", record.name),
            Self::Enum(words) => return write!(f, "one of {}", words.symbols.join(", ")),
            Self::Union(members) => {
                for (n, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if n > 0 { " or " } else { "" })?;
                }
                return Ok(());
            }
        };
        f.write_str(word)
    }
}
