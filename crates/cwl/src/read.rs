//! From nodes to processes: every field is checked, and what is wrong is noted with its line.

mod fields;
mod parameter;
mod process;
pub(crate) mod requirement;
mod tool;
mod types;
mod workflow;

use crate::load::Loader;
use crate::node::{At, Kind, Node};
use crate::value::Value;
pub(crate) use parameter::listing_of;

/// Entries of a list, or of a map under their key.
pub(crate) struct Item<'n> {
    /// The key; `None` in a list.
    pub(crate) key: Option<&'n str>,
    /// What stands there.
    pub(crate) node: &'n Node,
}

impl<'n> Item<'n> {
    /// The short name: the key, or the text of a field.
    pub(crate) fn name(&self, field: &str) -> Option<String> {
        let name = self.key.or_else(|| self.node.text(field))?;
        Some(crate::uri::short_name(name).to_owned())
    }
}

impl Loader<'_> {
    /// What is in a field that may be a list or a map.
    pub(crate) fn items<'n>(&mut self, node: Option<&'n Node>, what: &str) -> Vec<Item<'n>> {
        let Some(node) = node else { return Vec::new() };
        match &node.kind {
            Kind::Array(items) => items.iter().map(|node| Item { key: None, node }).collect(),
            Kind::Object(entries) => {
                entries.iter().map(|(key, node)| Item { key: Some(key), node }).collect()
            }
            _ => {
                let rule = format!("{what} is {}", node.kind_name());
                self.problem(node.at, rule, "write a list, or a map with the names as keys");
                Vec::new()
            }
        }
    }

    /// One text or a list of texts.
    pub(crate) fn texts(&mut self, node: Option<&Node>, what: &str) -> Vec<String> {
        let Some(node) = node else { return Vec::new() };
        let one = std::slice::from_ref(node);
        let mut texts = Vec::new();
        for item in node.as_array().unwrap_or(one) {
            match &item.kind {
                Kind::String(text) => texts.push(text.clone()),
                _ => {
                    let rule = format!("{what} holds {}", item.kind_name());
                    self.problem(
                        item.at,
                        rule,
                        "write text, in quotes where it looks like a number",
                    );
                }
            }
        }
        texts
    }

    /// The text of a field that must be text.
    pub(crate) fn text_of(&mut self, node: &Node, field: &str) -> Option<String> {
        let value = node.get(field)?;
        if value.as_str().is_none() {
            let rule = format!("{field} is {}", value.kind_name());
            self.problem(
                value.at,
                rule,
                "write text, in quotes where it looks like something else",
            );
        }
        value.as_str().map(str::to_owned)
    }

    /// The truth of a field that must be a boolean.
    pub(crate) fn bool_of(&mut self, node: &Node, field: &str) -> Option<bool> {
        let value = node.get(field)?;
        if let Kind::Bool(truth) = value.kind {
            return Some(truth);
        }
        let rule = format!("{field} is {}", value.kind_name());
        self.problem(value.at, rule, "write true or false");
        None
    }

    /// Data in a document: Files and Directories in it get whole addresses.
    pub(crate) fn data(&self, node: &Node) -> Value {
        self.data_at(node, node.at)
    }

    fn data_at(&self, node: &Node, at: At) -> Value {
        let mut value = node.to_value();
        crate::file::make_absolute(&mut value, self.base(at));
        let expand = |format: &str| self.expand(format, at);
        crate::file::expand_formats(&mut value, &expand);
        value
    }

    /// Refuses fields that are not known; those of a namespace are extensions and stay.
    pub(crate) fn check_fields(&mut self, node: &Node, what: &str, known: &[&str]) {
        let Some(entries) = node.as_object() else { return };
        for (key, value) in entries {
            if known.contains(&key.as_str()) || key.contains(':') || key.starts_with('$') {
                continue;
            }
            let rule = format!("{what} has no field {key:?}");
            let advice = match crate::error::nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("it has {}", known.join(", ")),
            };
            self.problem(value.at, rule, advice);
        }
    }
}
