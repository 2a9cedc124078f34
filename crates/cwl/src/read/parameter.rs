//! Inputs and outputs, and how they are bound.

use super::{Item, fields};
use crate::document::{Binding, Input, Link, Output, OutputBinding, SecondaryFile, Version};
use crate::load::Loader;
use crate::node::{Kind, Node};
use crate::types::{Listing, Type};
use crate::value::Value;

/// Whether a binding asks for contents in the old way.
pub(super) fn loads_contents(binding: &Node) -> bool {
    matches!(binding.get("loadContents").map(|node| &node.kind), Some(Kind::Bool(true)))
}

impl Loader<'_> {
    /// `inputs` of a process.
    pub(super) fn read_inputs(&mut self, node: &Node) -> Vec<Input> {
        let items = self.items(node.get("inputs"), "inputs");
        items.iter().filter_map(|item| self.read_input(item)).collect()
    }

    fn read_input(&mut self, item: &Item<'_>) -> Option<Input> {
        let node = item.node;
        let name = self.parameter_name(item, "an input")?;
        let is_object = node.as_object().is_some();
        if is_object {
            self.check_fields(node, "an input", &fields::INPUT);
        }
        Some(Input {
            ty: self.parameter_type(node, &name)?,
            default: node.get("default").map(|node| self.data(node)),
            secondary: self.read_secondary(node.get("secondaryFiles")),
            format: self.read_format(node),
            load_contents: self.bool_of(node, "loadContents").unwrap_or(false)
                || node.get("inputBinding").is_some_and(loads_contents),
            load_listing: self.read_listing(node),
            binding: node.get("inputBinding").map(|binding| self.read_binding(binding)),
            place: self.place(node.at),
            name,
        })
    }

    /// `outputs` of a process.
    pub(super) fn read_outputs(
        &mut self,
        node: &Node,
        class: &str,
        version: Version,
    ) -> Vec<Output> {
        let items = self.items(node.get("outputs"), "outputs");
        items.iter().filter_map(|item| self.read_output(item, class, version)).collect()
    }

    fn read_output(&mut self, item: &Item<'_>, class: &str, version: Version) -> Option<Output> {
        let node = item.node;
        let name = self.parameter_name(item, "an output")?;
        let mut link = Link::default();
        if node.as_object().is_some() {
            if class == "Workflow" {
                self.check_fields(node, "a workflow's output", &fields::workflow_output(version));
                link = self.read_link(node, "outputSource");
            } else {
                self.check_fields(node, "an output", &fields::OUTPUT);
            }
        }
        Some(Output {
            ty: self.parameter_type(node, &name)?,
            secondary: self.read_secondary(node.get("secondaryFiles")),
            format: self.read_format(node),
            collect: node.get("outputBinding").map(|binding| self.read_output_binding(binding)),
            link,
            place: self.place(node.at),
            name,
        })
    }

    fn parameter_name(&mut self, item: &Item<'_>, what: &str) -> Option<String> {
        let name = item.name("id");
        if name.is_none() {
            self.problem(
                item.node.at,
                format!("{what} has no id"),
                "add `id:`, or write a map with the names as keys",
            );
        }
        name
    }

    fn parameter_type(&mut self, node: &Node, name: &str) -> Option<Type> {
        if node.as_object().is_none() {
            return Some(self.read_type(node));
        }
        let Some(ty) = node.get("type") else {
            self.problem(
                node.at,
                format!("{name:?} has no type"),
                "add `type:`, such as `type: File`",
            );
            return None;
        };
        let ty = ty.clone();
        Some(self.read_type(&ty))
    }

    /// `secondaryFiles`: a text, an object, or a list of them.
    pub(super) fn read_secondary(&mut self, node: Option<&Node>) -> Vec<SecondaryFile> {
        let Some(node) = node else { return Vec::new() };
        let mut all = Vec::new();
        for item in node.as_array().unwrap_or(std::slice::from_ref(node)) {
            match (&item.kind, item.text("pattern")) {
                (Kind::String(text), _)
                    if !crate::expr::is_expression(text) && text.ends_with('?') =>
                {
                    let pattern = text[..text.len() - 1].to_owned();
                    all.push(SecondaryFile { pattern, required: false.into() });
                }
                (Kind::String(text), _) => {
                    all.push(SecondaryFile { pattern: text.clone(), required: Value::Null });
                }
                (Kind::Object(_), Some(pattern)) => {
                    self.check_fields(item, "an entry of secondaryFiles", &["pattern", "required"]);
                    let required = item.get("required").map(Node::to_value).unwrap_or_default();
                    all.push(SecondaryFile { pattern: pattern.to_owned(), required });
                }
                _ => self.problem(
                    item.at,
                    "an entry of secondaryFiles is neither text nor an object with a pattern",
                    "write a suffix such as `.bai`, or `pattern: .bai`",
                ),
            }
        }
        all
    }

    /// `format`: text, a list, or an expression; names of namespaces are written out.
    pub(super) fn read_format(&mut self, node: &Node) -> Option<Value> {
        let format = node.get("format")?;
        let expand = |text: &str| {
            if crate::expr::is_expression(text) {
                return Value::from(text);
            }
            let expanded = self.expand(text, format.at);
            let whole = expanded.contains("://");
            Value::from(if whole {
                expanded
            } else {
                crate::uri::join(self.base(format.at), &expanded)
            })
        };
        Some(match &format.kind {
            Kind::String(text) => expand(text),
            Kind::Array(items) => {
                items.iter().filter_map(Node::as_str).map(expand).collect::<Vec<_>>().into()
            }
            _ => format.to_value(),
        })
    }

    /// `loadListing`.
    pub(super) fn read_listing(&mut self, node: &Node) -> Option<Listing> {
        let text = self.text_of(node, "loadListing")?;
        let listing = listing_of(&text);
        if listing.is_none() {
            let rule = format!("loadListing is {text:?}");
            self.problem(node.at, rule, "write no_listing, shallow_listing or deep_listing");
        }
        listing
    }

    /// `inputBinding`, or an entry of `arguments`.
    pub(super) fn read_binding(&mut self, node: &Node) -> Binding {
        if node.as_object().is_none() {
            self.problem(
                node.at,
                format!("inputBinding is {}", node.kind_name()),
                "write a map, {} for the defaults",
            );
        }
        self.check_fields(node, "inputBinding", &fields::BINDING);
        if let Some(position) = node.get("position")
            && !matches!(position.kind, Kind::Number(_) | Kind::String(_))
        {
            self.problem(
                position.at,
                format!("position is {}", position.kind_name()),
                "write a whole number",
            );
        }
        Binding {
            position: node.get("position").map(Node::to_value).unwrap_or_default(),
            prefix: self.text_of(node, "prefix"),
            separate: self.bool_of(node, "separate"),
            item_separator: self.text_of(node, "itemSeparator"),
            value_from: node.get("valueFrom").map(Node::to_value),
            shell_quote: self.bool_of(node, "shellQuote"),
        }
    }

    /// `outputBinding`.
    pub(super) fn read_output_binding(&mut self, node: &Node) -> OutputBinding {
        self.check_fields(node, "outputBinding", &fields::OUTPUT_BINDING);
        OutputBinding {
            glob: node.get("glob").map(Node::to_value),
            load_contents: self.bool_of(node, "loadContents").unwrap_or(false),
            load_listing: self.read_listing(node),
            output_eval: self.text_of(node, "outputEval"),
        }
    }
}

/// The word for a depth of listing.
pub(crate) fn listing_of(word: &str) -> Option<Listing> {
    match word {
        "no_listing" => Some(Listing::None),
        "shallow_listing" => Some(Listing::Shallow),
        "deep_listing" => Some(Listing::Deep),
        _ => None,
    }
}
