//! The fields of a command line tool.

use crate::document::{Binding, Tool};
use crate::load::Loader;
use crate::node::{Kind, Node};
use crate::value::Value;

impl Loader<'_> {
    pub(super) fn read_tool(&mut self, node: &Node) -> Tool {
        let base_command = self.texts(node.get("baseCommand"), "baseCommand");
        let mut arguments = Vec::new();
        if let Some(list) = node.get("arguments") {
            if list.as_array().is_none() {
                self.problem(list.at, format!("arguments is {}", list.kind_name()), "write a list");
            }
            for item in list.as_array().into_iter().flatten() {
                arguments.extend(self.read_argument(item));
            }
        }
        Tool {
            base_command,
            arguments,
            stdin: self.text_of(node, "stdin"),
            stdout: self.text_of(node, "stdout"),
            stderr: self.text_of(node, "stderr"),
            success_codes: self.codes(node, "successCodes"),
            temporary_fail_codes: self.codes(node, "temporaryFailCodes"),
            permanent_fail_codes: self.codes(node, "permanentFailCodes"),
        }
    }

    fn read_argument(&mut self, item: &Node) -> Option<Binding> {
        match &item.kind {
            Kind::String(text) => {
                Some(Binding { value_from: Some(Value::from(text.as_str())), ..Binding::default() })
            }
            Kind::Object(_) => {
                if item.get("valueFrom").is_none() {
                    self.problem(
                        item.at,
                        "an entry of arguments has no valueFrom",
                        "add `valueFrom:`",
                    );
                }
                Some(self.read_binding(item))
            }
            _ => {
                let rule = format!("an entry of arguments is {}", item.kind_name());
                self.problem(
                    item.at,
                    rule,
                    "write text, in quotes where it looks like something else",
                );
                None
            }
        }
    }

    fn codes(&mut self, node: &Node, field: &str) -> Vec<i64> {
        let Some(list) = node.get(field) else { return Vec::new() };
        let codes: Option<Vec<i64>> =
            list.to_value().as_array().and_then(|codes| codes.iter().map(Value::as_i64).collect());
        if codes.is_none() {
            self.problem(
                list.at,
                format!("{field} is no list of whole numbers"),
                "write one, such as [0, 1]",
            );
        }
        codes.unwrap_or_default()
    }
}
