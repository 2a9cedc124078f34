//! Types: short forms (`File[]?`), arrays, records, enums, unions, and names of declared ones.

use std::sync::Arc;

use super::fields;
use crate::load::Loader;
use crate::node::{At, Kind, Node};
use crate::types::{ArrayType, EnumType, Field, RecordType, Type};
use crate::uri;

/// Deepest nesting of one type.
const DEPTH_MAX: usize = 40;

const WORDS: [(&str, Type); 13] = [
    ("null", Type::Null),
    ("boolean", Type::Boolean),
    ("int", Type::Int),
    ("long", Type::Long),
    ("float", Type::Float),
    ("double", Type::Double),
    ("string", Type::String),
    ("File", Type::File),
    ("Directory", Type::Directory),
    ("Any", Type::Any),
    ("stdin", Type::Stdin),
    ("stdout", Type::Stdout),
    ("stderr", Type::Stderr),
];

impl Loader<'_> {
    /// The type that a node says; `Any` after a problem was noted.
    pub(crate) fn read_type(&mut self, node: &Node) -> Type {
        self.read_type_within(node, 0)
    }

    fn read_type_within(&mut self, node: &Node, depth: usize) -> Type {
        if depth > DEPTH_MAX {
            self.problem(node.at, "a type nested too deeply", "");
            return Type::Any;
        }
        match &node.kind {
            Kind::String(text) => self.type_of_text(text, node.at, depth),
            Kind::Array(members) => {
                let read = members.iter().map(|member| self.read_type_within(member, depth + 1));
                let read: Vec<Type> = read.collect();
                Type::union(read)
            }
            Kind::Object(_) => self.type_of_object(node, depth),
            _ => {
                self.problem(
                    node.at,
                    format!("a type is {}", node.kind_name()),
                    "write its name, such as string",
                );
                Type::Any
            }
        }
    }

    fn type_of_text(&mut self, text: &str, at: At, depth: usize) -> Type {
        if depth > DEPTH_MAX {
            self.problem(at, "a type nested too deeply", "");
            return Type::Any;
        }
        if let Some(inner) = text.strip_suffix('?') {
            return self.type_of_text(inner, at, depth + 1).optional();
        }
        if let Some(inner) = text.strip_suffix("[]") {
            return self.type_of_text(inner, at, depth + 1).array();
        }
        if let Some((_, ty)) = WORDS.iter().find(|(word, _)| *word == text) {
            return ty.clone();
        }
        self.named_type(text, at, depth)
    }

    /// A type that `SchemaDefRequirement` declares.
    fn named_type(&mut self, text: &str, at: At, depth: usize) -> Type {
        let reference = if text.contains('#') { text.to_owned() } else { format!("#{text}") };
        let address = uri::join(self.base(at), &reference);
        let known = self.types.get(&address).or_else(|| {
            let mut near =
                self.types.iter().filter(|(id, _)| uri::short_name(id) == uri::short_name(text));
            near.next().map(|(_, node)| node)
        });
        let Some(node) = known.cloned() else {
            let words = WORDS.iter().map(|(word, _)| *word);
            let advice = match crate::error::nearest(text, words) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "write a type's name, or declare it in SchemaDefRequirement".to_owned(),
            };
            self.problem(at, format!("there is no type {text:?}"), advice);
            return Type::Any;
        };
        if self.type_stack.contains(&address) {
            self.problem(at, format!("the type {text:?} contains itself"), "");
            return Type::Any;
        }
        self.type_stack.push(address);
        let ty = self.read_type_within(&node, depth + 1);
        self.type_stack.pop();
        ty
    }

    fn type_of_object(&mut self, node: &Node, depth: usize) -> Type {
        let Some(kind) = node.get("type") else {
            self.problem(
                node.at,
                "a type has no field \"type\"",
                "write `type: array`, `record` or `enum`",
            );
            return Type::Any;
        };
        let binding = node.get("inputBinding").map(|binding| self.read_binding(binding));
        match kind.as_str() {
            Some("array") => {
                let Some(items) = node.get("items") else {
                    self.problem(
                        node.at,
                        "an array type has no items",
                        "add `items:` with the type of one",
                    );
                    return Type::Any;
                };
                let items = self.read_type_within(items, depth + 1);
                Type::Array(Arc::new(ArrayType { items, binding }))
            }
            Some("record") => {
                let name = uri::short_name(node.text("name").unwrap_or_default()).to_owned();
                let mut record = Vec::new();
                for item in self.items(node.get("fields"), "fields") {
                    record.extend(self.read_field(&item, depth));
                }
                Type::Record(Arc::new(RecordType { name, fields: record, binding }))
            }
            Some("enum") => {
                let symbols = self.texts(node.get("symbols"), "symbols");
                let symbols = symbols.iter().map(|s| uri::short_name(s).to_owned()).collect();
                Type::Enum(Arc::new(EnumType { symbols, binding }))
            }
            _ => self.read_type_within(kind, depth + 1),
        }
    }

    fn read_field(&mut self, item: &super::Item<'_>, depth: usize) -> Option<Field> {
        let node = item.node;
        let Some(name) = item.name("name") else {
            self.problem(node.at, "a field of a record has no name", "add `name:`");
            return None;
        };
        let is_short = node.as_object().is_none();
        if !is_short {
            self.check_fields(node, "a record's field", &fields::FIELD);
        }
        let ty = if is_short { Some(node) } else { node.get("type") };
        let Some(ty) = ty else {
            self.problem(node.at, format!("the field {name:?} has no type"), "add `type:`");
            return None;
        };
        Some(Field {
            ty: self.read_type_within(ty, depth + 1),
            binding: node.get("inputBinding").map(|binding| self.read_binding(binding)),
            collect: node.get("outputBinding").map(|binding| self.read_output_binding(binding)),
            secondary: self.read_secondary(node.get("secondaryFiles")),
            format: self.read_format(node),
            load_contents: self.bool_of(node, "loadContents").unwrap_or(false)
                || node.get("inputBinding").is_some_and(super::parameter::loads_contents),
            load_listing: self.read_listing(node),
            name,
        })
    }

    /// Remembers the types that a `SchemaDefRequirement` declares, and those inside them.
    pub(crate) fn declare_types(&mut self, node: &Node) {
        for item in self.items(Some(node), "types") {
            self.declare_type(item.node, 0);
        }
    }

    fn declare_type(&mut self, node: &Node, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        // A file of types that was imported is a list.
        for inner in node.as_array().into_iter().flatten() {
            self.declare_type(inner, depth + 1);
        }
        let declares = matches!(node.text("type"), Some("record" | "enum" | "array"));
        if let (Some(name), true) = (node.text("name"), declares) {
            let reference = if name.contains('#') { name.to_owned() } else { format!("#{name}") };
            self.types.insert(uri::join(self.base(node.at), &reference), node.clone());
        }
        for item in self.items(node.get("fields"), "fields") {
            if let Some(ty) = item.node.get("type") {
                self.declare_type(ty, depth + 1);
            }
        }
    }
}
